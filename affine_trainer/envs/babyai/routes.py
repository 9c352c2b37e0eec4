"""Ways through what is in view, found as AgentGym's server finds them: of equal ways, the same one."""

from __future__ import annotations

from affine_trainer.envs.babyai.view import SIZE, STEPS, Pose, Position, View

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE = range(6)
_BLOCKING = ("wall", "box", "ball", "key")


class Routes:
    """Every way from the agent's pose through the cells of its view.

    Doors do not block, however closed, and neither does what is not seen: the step that fails ends the walk.
    The search is breadth first over cell and direction, trying forward, left, right. As on the server a
    state can wait more than once and keeps the predecessor that was written last before its first turn.
    """

    def __init__(self, view: View) -> None:
        self.start = view.pose
        x, y, direction = view.pose
        dx, dy = STEPS[direction]
        low_x, high_x = _bounds(x, dx, -dy)
        low_y, high_y = _bounds(y, dy, dx)
        self._width = high_x - low_x + 2
        self._origin = low_x - 1, low_y - 1
        free = bytearray(self._width * (high_y - low_y + 2))
        for row in range(1, high_y - low_y + 1):
            free[row * self._width + 1 : (row + 1) * self._width - 1] = b"\1" * (self._width - 2)
        for position, cell in view.positions():
            if cell is not None and cell.kind in _BLOCKING:
                free[self._place(position)] = 0
        self._search(free)

    def facing(self, position: Position) -> list[int] | None:
        """The moves after which the agent looks at `position` from the next cell; None without a way."""
        return self._moves(self._faced.get(self._place(position)))

    def onto(self, position: Position) -> list[int] | None:
        """The moves that end on `position`; None without a way."""
        return self._moves(self._reached.get(self._place(position)))

    def _place(self, position: Position) -> int:
        return (position[1] - self._origin[1]) * self._width + position[0] - self._origin[0]

    def _search(self, free: bytearray) -> None:
        ahead = [dx + dy * self._width for dx, dy in STEPS]
        start = self._place(self.start.position) * 4 + self.start.direction
        self._before: dict[int, int] = {}
        self._faced: dict[int, int] = {}
        self._reached: dict[int, int] = {}
        before, faced, reached = self._before, self._faced, self._reached
        settled: set[int] = set()
        queue = [start]
        for state in queue:
            place, direction = state >> 2, state & 3
            front = place + ahead[direction]
            if state not in settled:
                settled.add(state)
                faced.setdefault(front, state)
                reached.setdefault(place, state)
            if free[front]:
                after = front * 4 + direction
                if after not in settled:
                    queue.append(after)
                    before[after] = state
            for after in (place * 4 + (direction - 1) % 4, place * 4 + (direction + 1) % 4):
                if after not in settled:
                    queue.append(after)
                    before[after] = state

    def _moves(self, state: int | None) -> list[int] | None:
        if state is None:
            return None
        moves = []
        while (earlier := self._before.get(state)) is not None:
            turn = (state - earlier) % 4
            moves.append(FORWARD if state >> 2 != earlier >> 2 else RIGHT if turn == 1 else LEFT)
            state = earlier
        return moves[::-1]


def _bounds(at: int, ahead: int, right: int) -> tuple[int, int]:
    """The half-open span of one axis that the server walks in: the view, and one more on a falling axis."""
    corner = at + ahead * (SIZE - 1) - right * (SIZE // 2)
    end = corner + SIZE * (right - ahead)
    return (end, corner + 1) if end < corner else (corner, end)


def after(pose: Pose, moves: list[int]) -> Pose:
    """Where turns and steps lead if none of them fails."""
    x, y, direction = pose
    for move in moves:
        if move == FORWARD:
            x, y = x + STEPS[direction][0], y + STEPS[direction][1]
        elif move in (LEFT, RIGHT):
            direction = (direction + (1 if move == RIGHT else -1)) % 4
    return Pose(x, y, direction)
