"""`walk_of` as machine code: the links within walks, without those that close cycles, and targets first.

Equal to `order.keep_acyclic` and `order.targets_first`, which say why. Two things make it fast. Where the order of
targets first reaches every document there is no cycle, and nothing else is to be done. Where it does not, the rule is
followed without sorting documents that it would place anyway: which edges are dropped depends only on the documents
that are placed with links to others left, and those are the same in whichever order the rest is placed.
"""

from typing import Any, NamedTuple

import numpy as np

from gptlab.graph.compiled import compiled

CYCLE, OUTSIDE = range(2)


class Order(NamedTuple):
    """Where the documents of some walks stand, and their edges.

    Attributes:
        visits: for each place, walk by walk, when the document there was reached.
        edges: (place of the linker, place of the target, position), walk by walk, sorted.
        edge_offsets: where the edges of each walk begin, and where the last ones end.
        lost: per walk, links that close a cycle and links out of the walk.
    """

    visits: Any
    edges: Any
    edge_offsets: Any
    lost: Any


class Room(NamedTuple):
    """Room to work in for one walk: arrays by document, then by edge.

    The edges from document `i` are those from `begins[i]` to `begins[i + 1]`, in the order of its links; those to it
    are `inward[inward_begins[i]]` and on.
    """

    begins: Any
    inward_begins: Any
    links: Any
    linked: Any
    heap: Any
    stack: Any
    place: Any
    is_left: Any
    linker: Any
    target: Any
    position: Any
    inward: Any
    is_dropped: Any
    retried: Any


@compiled
def order_walks(  # noqa: PLR0917 - arrays that the caller has one by one
    found: Any, offsets: Any, out_offsets: Any, out_targets: Any, out_positions: Any, visit: Any
) -> Order:
    """Order walks.

    Args:
        found: the documents of all walks, each walk's in the order reached.
        offsets: where each walk begins.
        out_offsets, out_targets, out_positions: as in `LinkGraph`.
        visit: room for a number per document of the graph, of any content.
    """
    walks, most, links, all_links = len(offsets) - 1, 1, 1, 0
    for walk in range(walks):
        count = 0
        for place in range(offsets[walk], offsets[walk + 1]):
            count += out_offsets[found[place] + 1] - out_offsets[found[place]]
        links, all_links = max(links, count), all_links + count
        most = max(most, offsets[walk + 1] - offsets[walk])
    by_document = np.empty((6, most + 1), np.int64)
    by_edge = np.empty((4, links), np.int64)
    room = Room(
        begins=by_document[0],
        inward_begins=by_document[1],
        links=by_document[2],
        linked=by_document[3],
        heap=by_document[4],
        stack=by_document[5],
        place=np.empty(most, np.int64),
        is_left=np.empty(most, np.bool_),
        linker=by_edge[0],
        target=by_edge[1],
        position=np.empty(links, np.int32),
        inward=by_edge[2],
        is_dropped=np.empty(links, np.bool_),
        retried=by_edge[3],
    )
    order = Order(
        np.empty(len(found), np.int32),
        np.empty((all_links, 3), np.int32),
        np.zeros(walks + 1, np.int64),
        np.zeros((walks, 2), np.int64),
    )
    for walk in range(walks):
        first, size = offsets[walk], offsets[walk + 1] - offsets[walk]
        for number in range(size):
            visit[found[first + number]] = number
        count, room.begins[0] = 0, 0
        for number in range(size):
            document = found[first + number]
            for link in range(out_offsets[document], out_offsets[document + 1]):
                target = visit[out_targets[link]]
                if 0 <= target < size and found[first + target] == out_targets[link]:
                    room.linker[count], room.target[count] = number, target
                    room.position[count], room.is_dropped[count] = out_positions[link], False
                    count += 1
            room.begins[number + 1] = count
            order.lost[walk, OUTSIDE] += out_offsets[document + 1] - out_offsets[document]
        order.lost[walk, OUTSIDE] -= count
        visits = order.visits[first : first + size]
        _turn(size, count, room)
        if not _targets_first(size, visits, room):
            _drop_cycles(size, room)
            _targets_first(size, visits, room)
        end = order.edge_offsets[walk]
        kept = _write_edges(size, visits, order.edges[end:], room)
        order.lost[walk, CYCLE] = count - kept
        order.edge_offsets[walk + 1] = end + kept
    return order


@compiled
def _turn(size: int, count: int, room: Room) -> None:
    """Sort the edges by target, into `inward`."""
    begins = room.inward_begins
    begins[: size + 1] = 0
    for edge in range(count):
        begins[room.target[edge] + 1] += 1
    for number in range(size):
        begins[number + 1] += begins[number]
        room.stack[number] = begins[number]
    for edge in range(count):
        room.inward[room.stack[room.target[edge]]] = edge
        room.stack[room.target[edge]] += 1


@compiled
def _targets_first(size: int, visits: Any, room: Room) -> bool:
    """Place documents whose targets all stand, the one reached last first; False where a cycle leaves some over."""
    waiting, heap = room.links, room.heap
    ready = placed = 0
    for number in range(size):
        waiting[number] = 0
        for edge in range(room.begins[number], room.begins[number + 1]):
            waiting[number] += not room.is_dropped[edge]
        if waiting[number] == 0:
            ready = _heap_push(heap, ready, number)
    while ready > 0:
        number = heap[0]
        ready = _heap_pop(heap, ready)
        visits[placed], room.place[number] = number, placed
        placed += 1
        for index in range(room.inward_begins[number], room.inward_begins[number + 1]):
            edge = room.inward[index]
            if not room.is_dropped[edge]:
                linker = room.linker[edge]
                waiting[linker] -= 1
                if waiting[linker] == 0:
                    ready = _heap_push(heap, ready, linker)
    return bool(placed == size)


@compiled
def _heap_push(heap: Any, size: int, number: int) -> int:
    """Add to a heap with the largest on top."""
    here = size
    while here > 0 and heap[(here - 1) // 2] < number:
        heap[here] = heap[(here - 1) // 2]
        here = (here - 1) // 2
    heap[here] = number
    return size + 1


@compiled
def _heap_pop(heap: Any, size: int) -> int:
    """Take the top away."""
    size -= 1
    last, here = heap[size], 0
    while 2 * here + 1 < size:
        child = 2 * here + 1
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= last:
            break
        heap[here] = heap[child]
        here = child
    heap[here] = last
    return size


@compiled
def _drop_cycles(size: int, room: Room) -> None:
    """Mark the edges to drop: those to documents that are placed later, less those that close no cycle after all."""
    left, retried = size, 0
    for number in range(size):
        room.links[number] = room.begins[number + 1] - room.begins[number]
        room.linked[number] = room.inward_begins[number + 1] - room.inward_begins[number]
        room.is_left[number] = True
    for number in range(size):
        if room.is_left[number] and (room.links[number] == 0 or room.linked[number] == 0):
            left -= _remove(number, room)
    while left > 0:
        chosen = -1
        for number in range(size):
            if room.is_left[number] and (
                chosen < 0 or room.links[number] - room.linked[number] <= room.links[chosen] - room.linked[chosen]
            ):
                chosen = number
        for edge in range(room.begins[chosen], room.begins[chosen + 1]):
            if room.is_left[room.target[edge]]:
                room.is_dropped[edge] = True
                room.retried[retried] = edge
                retried += 1
        left -= _remove(chosen, room)
    for place in range(retried):  # in the order of reading
        for other in range(place + 1, retried):
            if _is_read_before(room.retried[other], room.retried[place], room):
                room.retried[place], room.retried[other] = room.retried[other], room.retried[place]
    for place in range(retried):
        edge = room.retried[place]
        room.is_dropped[edge] = _leads_to(room.target[edge], room.linker[edge], size, room)


@compiled
def _is_read_before(one: int, other: int, room: Room) -> bool:
    if room.linker[one] != room.linker[other]:
        return bool(room.linker[one] < room.linker[other])
    if room.position[one] != room.position[other]:
        return bool(room.position[one] < room.position[other])
    return bool(room.target[one] < room.target[other])


@compiled
def _remove(first: int, room: Room) -> int:
    """Place a document, and all that then have no links left to others or none from them; returns how many."""
    removed, waiting = 0, 1
    room.stack[0], room.is_left[first] = first, False
    while waiting > 0:
        waiting -= 1
        number = room.stack[waiting]
        removed += 1
        for edge in range(room.begins[number], room.begins[number + 1]):
            target = room.target[edge]
            room.linked[target] -= 1
            if room.is_left[target] and room.linked[target] == 0:
                room.is_left[target], room.stack[waiting] = False, target
                waiting += 1
        for index in range(room.inward_begins[number], room.inward_begins[number + 1]):
            linker = room.linker[room.inward[index]]
            room.links[linker] -= 1
            if room.is_left[linker] and room.links[linker] == 0:
                room.is_left[linker], room.stack[waiting] = False, linker
                waiting += 1
    return removed


@compiled
def _leads_to(start: int, goal: int, size: int, room: Room) -> bool:
    """Whether kept edges lead from one document to another."""
    is_reached, stack, waiting = room.is_left, room.stack, 1
    is_reached[:size] = False
    stack[0], is_reached[start] = start, True
    while waiting > 0:
        waiting -= 1
        number = stack[waiting]
        if number == goal:
            return True
        for edge in range(room.begins[number], room.begins[number + 1]):
            target = room.target[edge]
            if not room.is_dropped[edge] and not is_reached[target]:
                is_reached[target], stack[waiting] = True, target
                waiting += 1
    return False


@compiled
def _write_edges(size: int, visits: Any, edges: Any, room: Room) -> int:
    """The kept edges sorted by the places of linker and target; returns how many."""
    kept = 0
    for place in range(size):
        number = visits[place]
        room.stack[number] = kept
        for edge in range(room.begins[number], room.begins[number + 1]):
            kept += not room.is_dropped[edge]
    for place in range(size):
        number = visits[place]
        for index in range(room.inward_begins[number], room.inward_begins[number + 1]):
            edge = room.inward[index]
            if not room.is_dropped[edge]:
                linker = room.linker[edge]
                at = room.stack[linker]
                edges[at, 0], edges[at, 1], edges[at, 2] = room.place[linker], place, room.position[edge]
                room.stack[linker] = at + 1
    return kept
