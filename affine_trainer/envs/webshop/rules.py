"""What a player is told before the first page, in a long and a short form."""

RULES = """You are shopping on a web site. The instruction says what to buy: a kind of product, attributes, \
options such as color or size, and a highest price.

Each turn you see a page as text, its parts separated by [SEP]. Answer with one action:
search[keywords] - on the search page: list products that fit the keywords
click[value] - click on something the page offers, written as it stands there

A results page lists product id, title and price; click[id] opens a product. Its page shows options \
with their values, title and price. click[Description], click[Features] and click[Reviews] tell more, \
click[< Prev] goes back one page, click[Next >] turns the results, click[Back to Search] starts over. \
Click one value of each option that the instruction names; the page looks the same afterwards, but the \
choice is kept until you leave the product. An action that the page does not offer changes nothing.

click[Buy Now] ends the visit. The score is the share of attributes, options and price that the purchase \
meets, 0 for another kind of product. Products look alike: an attribute that is not in the title may be \
among the features.

Answer in this form:
Thought: why
Action: search[...] or click[...]"""

RULES_SHORT = (
    "Buy what is asked. Actions: search[words], click[value]. Choose the options, then click[Buy Now]."
)
