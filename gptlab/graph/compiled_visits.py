"""The built-in policies and `collect` as machine code: equal, document for document, to what they say in Python.

Nothing is cleared between walks, so a walk costs the same in a graph of ten thousand documents and of ten million:
"document `d` was seen" means that `seen[seen_at[d]]` is `d`, at a place below the number of those seen (the sparse
set of Briggs and Torczon, 1993), whatever an earlier walk left behind. Arrays as long as the graph cost address
space, and memory only where they are touched.

Links are read one at a time and only as far as the budget needs, so a hub of a million links is no obstacle.
"""

from typing import Any, NamedTuple

import numpy as np

from gptlab.graph.collect import PATIENCE
from gptlab.graph.compiled import compiled

BREADTH_FIRST, DEPTH_FIRST, RANDOM_WALK, RANDOM_ORDER, PAGE_RANK, SHORTEST_FIRST = range(6)
GO_ON, FULL, LEAVE = range(3)
FREE, CAPPED, COVER = range(3)
COUNT, ROOM, IDLE, BASE, FIRST, UNREAD, TOUCHED = range(7)


class Links(NamedTuple):
    """The arrays of a `LinkGraph`."""

    out_offsets: Any
    out_targets: Any
    in_offsets: Any
    in_linkers: Any
    flags: Any
    token_offsets: Any


class Rule(NamedTuple):
    """A policy in numbers."""

    kind: int
    follows_out: bool
    follows_in: bool
    max_in_degree: int
    exclude: int
    shuffle: bool
    restart: float
    patience: int
    epsilon: float


class Bounds(NamedTuple):
    """What walks may take, in numbers.

    `eligible` is empty where all documents are; `left` (how often each may still be taken) where nothing is capped.
    """

    regime: int
    budget: int
    fill: bool
    exclude: int
    eligible: Any
    left: Any


class Scratch(NamedTuple):
    """Room to work in, made once and never cleared."""

    reached_at: Any
    seen_at: Any
    seen: Any
    stack: Any
    cursors: Any
    ends: Any
    arena: Any
    heap_cost: Any
    heap_order: Any
    heap: Any
    slot: Any
    touched: Any
    kept: Any
    held: Any
    queue: Any
    is_queued: Any
    state: Any
    random: Any


class Work(NamedTuple):
    """All that the functions below share.

    `found` is where the documents of all walks are written, back to back.
    """

    links: Links
    rule: Rule
    bounds: Bounds
    scratch: Scratch
    found: Any


def scratch_for(links: Links, rule: Rule) -> Scratch:
    """As much as this policy needs on this graph."""
    size = len(links.flags)

    def room(dtype: type, *kinds: int, of: int = size) -> np.ndarray:
        return np.zeros(of if not kinds or rule.kind in kinds else 1, dtype)

    best = (PAGE_RANK, SHORTEST_FIRST)
    shuffles = rule.shuffle and rule.kind not in (RANDOM_WALK, RANDOM_ORDER)
    return Scratch(
        reached_at=room(np.int32),
        seen_at=room(np.int32),
        seen=room(np.int32),
        stack=room(np.int32, DEPTH_FIRST),
        cursors=room(np.int64, DEPTH_FIRST),
        ends=room(np.int64, DEPTH_FIRST),
        arena=np.zeros(2 * len(links.out_targets) + 1 if shuffles else 1, np.int32),
        heap_cost=room(np.float64, *best),
        heap_order=room(np.int32, *best),
        heap=room(np.int32, *best),
        slot=room(np.int32, PAGE_RANK),
        touched=room(np.int32, PAGE_RANK),
        kept=room(np.float64, PAGE_RANK),
        held=room(np.float64, PAGE_RANK),
        queue=room(np.int32, PAGE_RANK),
        is_queued=room(np.uint8, PAGE_RANK),
        state=np.zeros(8, np.int64),
        random=np.zeros(8, np.uint64),
    )


@compiled
def collect_walks(roots: Any, first: int, seed: Any, ends: Any, work: Work) -> int:
    """Collect one walk per root, those of numbers `first` and on; returns how many documents they hold.

    Args:
        roots: where the walks begin.
        first: the number of the first.
        seed: of all chance.
        ends: where each walk ends in `work.found` is written here.
        work: all else.
    """
    base = 0
    for place in range(len(roots)):
        _seed(work.scratch, seed, np.uint64(first + place))
        base += _collect(int(roots[place]), roots, base, work)
        ends[place] = base
    return base


@compiled
def plan_walks(order: Any, first: int, seed: Any, ends: Any, work: Work) -> int:
    """Collect the walks of one epoch whose roots come in this order; returns how many there are."""
    base = walks = 0
    work.scratch.state[FIRST] = 0
    for place in range(len(order)):
        root = int(order[place])
        if work.bounds.regime == CAPPED:
            work.bounds.left[root] += 1  # its own walk was reserved
        elif work.bounds.left[root] == 0:
            continue
        _seed(work.scratch, seed, np.uint64(first + place))
        base += _collect(root, order, base, work)
        ends[walks] = base
        walks += 1
    return walks


@compiled
def _collect(root: int, order: Any, base: int, work: Work) -> int:
    state = work.scratch.state
    state[COUNT], state[ROOM], state[BASE] = 0, work.bounds.budget, base
    here = root
    while here >= 0:
        state[IDLE] = 0
        if work.rule.kind == BREADTH_FIRST:
            end = _breadth_first(here, work)
        elif work.rule.kind == DEPTH_FIRST:
            end = _depth_first(here, work)
        elif work.rule.kind == RANDOM_WALK:
            end = _random_walk(here, work)
        elif work.rule.kind == RANDOM_ORDER:
            end = _random_order(here, work)
        else:
            end = _best_first(here, work)
        if end == FULL:
            break
        here = _go_on(order, work)
    return int(state[COUNT])


@compiled
def _go_on(order: Any, work: Work) -> int:
    """The next root of a walk that is not full, or -1."""
    state, left = work.scratch.state, work.bounds.left
    if not work.bounds.fill:
        return -1
    if work.bounds.regime == COVER:
        while state[FIRST] < len(order) and left[order[state[FIRST]]] == 0:
            state[FIRST] += 1
        looked, place = 0, state[FIRST]
        while place < len(order) and looked < PATIENCE:
            document = int(order[place])
            if left[document] > 0:
                looked += 1
                if work.links.token_offsets[document + 1] - work.links.token_offsets[document] <= state[ROOM]:
                    return document
            place += 1
        return -1
    size = len(work.bounds.eligible) if len(work.bounds.eligible) else len(work.links.flags)
    if state[COUNT] == size:
        return -1
    looked = 0
    while work.bounds.regime == FREE or looked < PATIENCE:
        looked += 1
        document = int(_random(work.scratch) * size)
        if len(work.bounds.eligible):
            document = int(work.bounds.eligible[document])
        if not _is_reached(document, work) and (work.bounds.regime == FREE or left[document] > 0):
            return document
    return -1


@compiled
def _is_reached(document: int, work: Work) -> bool:
    place, state = work.scratch.reached_at[document], work.scratch.state
    return bool(place < state[COUNT] and work.found[state[BASE] + place] == document)


@compiled
def _meet(document: int, work: Work) -> int:
    """Take a document that a policy visits, or leave it; and whether to go on."""
    state = work.scratch.state
    length = work.links.token_offsets[document + 1] - work.links.token_offsets[document]
    fits = work.bounds.regime != COVER or state[COUNT] == 0 or length <= state[ROOM]
    is_free = work.bounds.regime == FREE or work.bounds.left[document] > 0
    may_take = fits and is_free and not (work.links.flags[document] & work.bounds.exclude)
    if may_take and not _is_reached(document, work):
        work.scratch.reached_at[document] = state[COUNT]
        work.found[state[BASE] + state[COUNT]] = document
        state[COUNT] += 1
        state[ROOM] -= length
        state[IDLE] = 0
        if work.bounds.regime != FREE:
            work.bounds.left[document] -= 1
        return FULL if state[ROOM] <= 0 else GO_ON
    state[IDLE] += 1
    return LEAVE if state[IDLE] >= PATIENCE else GO_ON


@compiled
def _degree(document: int, work: Work) -> int:
    degree = 0
    if work.rule.follows_out:
        degree += work.links.out_offsets[document + 1] - work.links.out_offsets[document]
    if work.rule.follows_in:
        degree += work.links.in_offsets[document + 1] - work.links.in_offsets[document]
    return degree


@compiled
def _link(document: int, number: int, work: Work) -> int:
    """Where link `number` leads, of those followed, out before in."""
    if work.rule.follows_out:
        outs = work.links.out_offsets[document + 1] - work.links.out_offsets[document]
        if number < outs:
            return int(work.links.out_targets[work.links.out_offsets[document] + number])
        number -= outs
    return int(work.links.in_linkers[work.links.in_offsets[document] + number])


@compiled
def _enters(document: int, work: Work) -> bool:
    if work.links.flags[document] & work.rule.exclude:
        return False
    return bool(work.links.in_offsets[document + 1] - work.links.in_offsets[document] <= work.rule.max_in_degree)


@compiled
def _open(document: int, top: int, work: Work) -> int:
    """Where the neighbours of a document end that begin at `top`; shuffled ones are laid out in the arena."""
    degree = _degree(document, work)
    if not work.rule.shuffle:
        return top + degree
    end = top
    for number in range(degree):
        each = _link(document, number, work)
        if _enters(each, work):
            work.scratch.arena[end] = each
            end += 1
    for place in range(top, end - 1):
        other = place + int(_random(work.scratch) * (end - place))
        work.scratch.arena[place], work.scratch.arena[other] = work.scratch.arena[other], work.scratch.arena[place]
    return end


@compiled
def _neighbour(document: int, top: int, cursor: int, work: Work) -> int:
    """The neighbour at a cursor between `top` and the end that `_open` gave; -1 where it is not entered."""
    if work.rule.shuffle:
        return int(work.scratch.arena[cursor])
    each = _link(document, cursor - top, work)
    return each if _enters(each, work) else -1


@compiled
def _see(document: int, count: int, work: Work) -> bool:
    """Add to the `count` documents seen; False where it is one of them."""
    place = work.scratch.seen_at[document]
    if place < count and work.scratch.seen[place] == document:
        return False
    work.scratch.seen_at[document] = count
    work.scratch.seen[count] = document
    return True


@compiled
def _breadth_first(root: int, work: Work) -> int:
    _see(root, 0, work)
    seen, head = 1, 0
    end = _meet(root, work)
    if end != GO_ON:
        return end
    while head < seen:
        here = int(work.scratch.seen[head])
        head += 1
        for cursor in range(_open(here, 0, work)):
            each = _neighbour(here, 0, cursor, work)
            if each >= 0 and _see(each, seen, work):
                seen += 1
                end = _meet(each, work)
                if end != GO_ON:
                    return end
    return LEAVE


@compiled
def _depth_first(root: int, work: Work) -> int:
    # The neighbours of `stack[i]` lie from `ends[i - 1]` to `ends[i]`, and the next one is at `cursors[i]`.
    cursors, ends, stack = work.scratch.cursors, work.scratch.ends, work.scratch.stack
    _see(root, 0, work)
    seen, depth = 1, 1
    end = _meet(root, work)
    if end != GO_ON:
        return end
    stack[0], cursors[0], ends[0] = root, 0, _open(root, 0, work)
    while depth > 0:
        top = int(ends[depth - 2]) if depth > 1 else 0
        if cursors[depth - 1] == ends[depth - 1]:
            depth -= 1
            continue
        each = _neighbour(int(stack[depth - 1]), top, int(cursors[depth - 1]), work)
        cursors[depth - 1] += 1
        if each >= 0 and _see(each, seen, work):
            seen += 1
            end = _meet(each, work)
            if end != GO_ON:
                return end
            top = int(ends[depth - 1])
            stack[depth], cursors[depth], ends[depth] = each, top, _open(each, top, work)
            depth += 1
    return LEAVE


@compiled
def _random_walk(root: int, work: Work) -> int:
    _see(root, 0, work)
    seen, here, idle = 1, root, 0
    end = _meet(root, work)
    if end != GO_ON:
        return end
    while idle < work.rule.patience:
        if _random(work.scratch) < work.rule.restart:
            here = root
        degree = _degree(here, work)
        if degree == 0 and here == root:
            return LEAVE
        idle += 1
        there = root
        if degree > 0:
            there = _link(here, int(_random(work.scratch) * degree), work)
            if not _enters(there, work):
                continue
        here = there
        if _see(here, seen, work):
            seen += 1
            idle = 0
            end = _meet(here, work)
            if end != GO_ON:
                return end
    return LEAVE


@compiled
def _random_order(root: int, work: Work) -> int:
    _see(root, 0, work)
    seen, size = 1, len(work.links.flags)
    end = _meet(root, work)
    while end == GO_ON and seen < size:
        each = int(_random(work.scratch) * size)
        if _see(each, seen, work):
            seen += 1
            end = _meet(each, work)
    return end if end != GO_ON else LEAVE


@compiled
def _best_first(root: int, work: Work) -> int:
    if work.rule.kind == PAGE_RANK:
        _push(root, work)
    _see(root, 0, work)
    seen, size, here = 1, 0, root
    end = _meet(root, work)
    while end == GO_ON:
        for cursor in range(_open(here, 0, work)):
            each = _neighbour(here, 0, cursor, work)
            if each >= 0 and _see(each, seen, work):
                _heap_push(_cost(each, work), seen, each, size, work)
                seen += 1
                size += 1
        if size == 0:
            return LEAVE
        here = _heap_pop(size, work)
        size -= 1
        end = _meet(here, work)
    return end


@compiled
def _cost(document: int, work: Work) -> float:
    length = float(work.links.token_offsets[document + 1] - work.links.token_offsets[document])
    if work.rule.kind == SHORTEST_FIRST:
        return length
    slot = work.scratch.slot[document]
    if slot >= work.scratch.state[TOUCHED] or work.scratch.touched[slot] != document:
        return -0.0
    return -float((work.scratch.kept[slot] + work.rule.restart * work.scratch.held[slot]) / length)


@compiled
def _push(root: int, work: Work) -> None:
    """`PageRankPerToken.push`; the masses of `touched[i]` are `kept[i]` and `held[i]`."""
    queue, size = work.scratch.queue, len(work.links.flags)
    work.scratch.state[TOUCHED] = 0
    slot = _touch(root, work)
    work.scratch.held[slot], work.scratch.is_queued[slot] = 1.0, 1
    queue[0] = root
    head, waiting = 0, 1
    while waiting > 0:
        document = int(queue[head])
        head = (head + 1) % size
        waiting -= 1
        slot = int(work.scratch.slot[document])
        work.scratch.is_queued[slot] = 0
        mass = work.scratch.held[slot]
        work.scratch.held[slot] = 0.0
        work.scratch.kept[slot] += work.rule.restart * mass
        degree, entered = _degree(document, work), 0
        for number in range(degree):
            entered += _enters(_link(document, number, work), work)
        rest = (1.0 - work.rule.restart) * mass
        if entered > 0:
            rest /= entered
        for number in range(max(1, degree)):
            each = _link(document, number, work) if entered > 0 else root
            if entered > 0 and not _enters(each, work):
                continue
            place = _touch(each, work)
            work.scratch.held[place] += rest
            bar = work.rule.epsilon * max(1, _degree(each, work))
            if work.scratch.held[place] >= bar and not work.scratch.is_queued[place]:
                work.scratch.is_queued[place] = 1
                queue[(head + waiting) % size] = each
                waiting += 1
            if entered == 0:
                break


@compiled
def _touch(document: int, work: Work) -> int:
    slot, count = work.scratch.slot[document], work.scratch.state[TOUCHED]
    if slot < count and work.scratch.touched[slot] == document:
        return int(slot)
    work.scratch.slot[document] = count
    work.scratch.touched[count] = document
    work.scratch.kept[count] = work.scratch.held[count] = 0.0
    work.scratch.is_queued[count] = 0
    work.scratch.state[TOUCHED] = count + 1
    return int(count)


@compiled
def _is_before(one: int, other: int, work: Work) -> bool:
    if work.scratch.heap_cost[one] != work.scratch.heap_cost[other]:
        return bool(work.scratch.heap_cost[one] < work.scratch.heap_cost[other])
    return bool(work.scratch.heap_order[one] < work.scratch.heap_order[other])


@compiled
def _swap(one: int, other: int, work: Work) -> None:
    cost, order, heap = work.scratch.heap_cost, work.scratch.heap_order, work.scratch.heap
    cost[one], cost[other] = cost[other], cost[one]
    order[one], order[other] = order[other], order[one]
    heap[one], heap[other] = heap[other], heap[one]


@compiled
def _heap_push(cost: float, order: int, document: int, size: int, work: Work) -> None:
    work.scratch.heap_cost[size], work.scratch.heap_order[size], work.scratch.heap[size] = cost, order, document
    here = size
    while here > 0 and _is_before(here, (here - 1) // 2, work):
        _swap(here, (here - 1) // 2, work)
        here = (here - 1) // 2


@compiled
def _heap_pop(size: int, work: Work) -> int:
    _swap(0, size - 1, work)
    here, last = 0, size - 1
    while True:
        child = 2 * here + 1
        if child >= last:
            break
        if child + 1 < last and _is_before(child + 1, child, work):
            child += 1
        if not _is_before(child, here, work):
            break
        _swap(child, here, work)
        here = child
    return int(work.scratch.heap[last])


@compiled
def _seed(scratch: Scratch, seed: Any, k: Any) -> None:
    scratch.random[0], scratch.random[1], scratch.random[2] = seed, k, np.uint64(0)
    scratch.state[UNREAD] = 0


@compiled
def _random(scratch: Scratch) -> float:
    """The next number of the stream that `chance_of` gives, from 0 to 1."""
    if scratch.state[UNREAD] == 0:
        _philox(scratch.random)
        scratch.state[UNREAD] = 4
    bits = scratch.random[8 - scratch.state[UNREAD]]
    scratch.state[UNREAD] -= 1
    return float(bits >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@compiled
def _philox(random: Any) -> None:
    """Philox4x64-10: four numbers into `random[4:]`, from the key in `random[:2]` and the counter in `random[2]`."""
    random[2] += np.uint64(1)
    key_0, key_1 = random[0], random[1]
    a, b, c, d = random[2], np.uint64(0), np.uint64(0), np.uint64(0)
    for _ in range(10):
        high_0, low_0 = _product(np.uint64(0xD2E7470EE14C6C93), a)
        high_1, low_1 = _product(np.uint64(0xCA5A826395121157), c)
        a, b, c, d = high_1 ^ b ^ key_0, low_1, high_0 ^ d ^ key_1, low_0
        key_0 += np.uint64(0x9E3779B97F4A7C15)
        key_1 += np.uint64(0xBB67AE8584CAA73B)
    random[4], random[5], random[6], random[7] = a, b, c, d


@compiled
def _product(one: Any, other: Any) -> tuple[Any, Any]:
    """The upper and the lower half of a product of two 64-bit numbers."""
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    one_high, one_low, other_high, other_low = one >> half, one & mask, other >> half, other & mask
    low, middle, cross = one_low * other_low, one_high * other_low, one_low * other_high
    carry = ((low >> half) + (middle & mask) + (cross & mask)) >> half
    return one_high * other_high + (middle >> half) + (cross >> half) + carry, one * other
