class BabyAIExpert:
    def __init__(self, game): pass
