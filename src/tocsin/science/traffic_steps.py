"""The inner loops of road traffic: what crosses each junction and each cell in one step, the ways to safety, and the run of a whole evacuation.

Every amount of vehicles is a whole number of grains (2^-20 of a vehicle) held in a float, and every flow is rounded down to one. Sums of
grains are exact below 2^32 vehicles, so nothing is lost or made, and no order of summing and no number of threads changes a bit.

What belongs to one street or node lies side by side in one row, since a step touches few streets and waits for memory, not for arithmetic.
All that is compiled together is in this one file: a compiled function is kept on disk until its own file changes, with all that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tocsin.science.flood_steps import _atomic_add, _meet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Shorts = NDArray[np.int32]
Bools = NDArray[np.bool_]
_Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
_plain: _Compile = njit(nogil=True, cache=True, error_model="numpy")
_inline: _Compile = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)

GRAINS = 1048576.0
CRUMB = 1.0 / 128.0  # vehicles: what is left in a cell below this goes along with the rest, so a free road empties in finite time
SLOWEST = 0.02  # a street at less than this share of its speed is as good as closed, but counts as open
CHAIN_MOST = 500
IDLE = 1 << 62
CHUNK = 256  # busy nodes or streets that a thread takes at a time
SORTED_EVERY = 32  # steps
NO_WAY, HERE = -1, -2
SOURCE = -3  # the cause of a queue on a street that has its own capacity to blame

BEGIN, LAST, HEAD, SLOT = range(
    4
)  # of a street: first and last cell, the node that it leads to, its number among those that leave its first node
MOVE, FLOW, WAVE, ROOM, HELD, ON, CAUSE, BUSY = range(8)
IN, IN_STOP, OUT, OUT_STOP, ORIGIN, ORIGIN_STOP = range(6)  # of a node: its streets and origins
ENTRY, WEIGHT, EXIT = range(3)
WAITING, PLACES, BECAUSE, STAMP, QUEUED = range(5)
LINKS, NODES, QUEUES, STAMPS, AT, NEXT, FIND, RUNNING = range(8)
ARRIVED_AT, TAKEN_NODES, TAKEN_STREETS = range(3)


class Net(NamedTuple):
    """Streets in the order of the node that they lead to."""

    link: Shorts  # (street, 4)
    tail: Shorts
    node: Shorts  # (node, 8)
    out_link: Shorts
    door: Floats  # (node, 3) vehicles that can set out in a step; their weight against the streets that come in; vehicles that can arrive
    degree_most: int


class State(NamedTuple):
    """What changes from step to step. A bound is a kind of travellers: those who drive to the same goals."""

    cell: Floats  # (cell, bound + 1) vehicles; the last is their sum
    street: Floats  # (street, 8) share of a cell driven in a step when free, vehicles in a step at capacity, share of a cell that the backward
    # wave crosses in a step, vehicles that a cell holds at standstill; vehicle-steps of waiting not yet booked, vehicles on it, the street that
    # holds it up, whether it is in the list of the busy
    barred: Bools  # (street,) whether nobody may drive in
    flux: Floats  # (street, 2 bound) what leaves it and what enters it in this step
    next_link: Shorts  # (node, bound)
    queue: Floats  # (origin, bound) who waits to set out
    set_out: Floats  # (origin,)
    waiting: Floats  # (node, bound)
    gate: Floats  # (node, 8) who waits in all, places left, the street that holds them up, the last step in which it was listed, whether it queues
    arrived: Floats  # (node, bound)
    caused: Floats  # (street,) vehicle-steps of waiting that it has caused
    busy_link: Ints
    busy_node: Ints
    queue_node: Ints
    counter: Ints
    moved: Floats  # (thread,)
    sync: Ints


class Course(NamedTuple):
    """What happens from outside, each in order of its step; and where each bound may end."""

    set_out_step: Ints
    set_out_origin: Ints
    set_out_bound: Ints
    set_out_vehicles: Floats
    change_step: Ints
    change_link: Ints
    change_share: Floats  # of the dry speed; 0 closes, below 0 bars
    shut_step: Ints
    shut_origin: Ints
    origin_node: Ints
    is_end: Bools  # (bound, node)
    instead: Ints  # (bound,) whose ways to take where there is none of one's own
    limited: Ints  # nodes with a limited number of places
    end_node: Ints


class Track(NamedTuple):
    """What is written down at each record."""

    step: Ints
    set_out: Floats
    on_road: Floats
    waiting: Floats
    caught: Floats
    arrived: Floats  # (record, end)
    caught_on: Floats  # (street,) vehicles
    stayed: Floats  # (origin,) vehicles that still waited when their origin shut
    counts: Ints  # steps that were computed, trees that were made, street-steps


@_inline
def _whole(vehicles: Any) -> Any:
    """Rounded down to grains."""
    return np.floor(vehicles * GRAINS) / GRAINS


@_inline
def _sent(total: Any, move: Any, flow: Any) -> Any:
    """What a cell can send in a step (Daganzo 1994, eq. 3): what drives out freely, but no more than the capacity."""
    out = total * move
    if total - out < CRUMB:
        out = total
    return min(out, flow)


@_inline
def _taken(total: Any, room: Any, wave: Any, flow: Any) -> Any:
    """What a cell can take in a step (Daganzo 1994, eq. 3): the room that the backward wave has told of, but no more than the capacity."""
    return min(flow, wave * (room - total))


@_plain
def _junctions(n: Any, s: Any, first: Any, stop: Any) -> Any:
    """What crosses the busy nodes first..stop in one step.

    First-in first-out on every street, what is scarce is shared by capacity, and nobody holds back who could go: the node model of
    Tampère et al. 2011 (Transp. Res. B 45:289-309, section 4). The streets at a node are numbered from 0; after the last that comes in comes the
    queue of those who set out here, and after the last that goes out the goal that is here. All arrays are taken out of their
    tuples once, and the way through is written in one piece: counting their references at each node costs ten times the arithmetic.
    """
    links, node, out_link, door = n.link, n.node, n.out_link, n.door
    cell, street, flux, next_link = s.cell, s.street, s.flux, s.next_link
    queue, set_out, waiting, gate, arrived, busy_node = (
        s.queue,
        s.set_out,
        s.waiting,
        s.gate,
        s.arrived,
        s.busy_node,
    )
    bounds = next_link.shape[1]
    size = n.degree_most + 2
    out_sum, out_can, in_can, in_go, weight = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    out_weight, in_full, done = np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.bool_)
    part = np.zeros((size, size))
    moved = 0.0
    for x in range(first, stop):
        k = busy_node[x]
        i0, o0 = node[k, IN], node[k, OUT]
        comes, goes = node[k, IN_STOP] - i0, node[k, OUT_STOP] - o0
        for j in range(goes + 1):
            out_sum[j] = 0.0
        # what every street that comes in would send, by street that goes out
        for i in range(comes):
            a = i0 + i
            can = 0.0
            if street[a, ON] > 0.0:
                last = links[a, LAST]
                total = cell[last, bounds]
                if total > 0.0 and street[a, FLOW] > 0.0:
                    can = _sent(total, street[a, MOVE], street[a, FLOW])
                    for d in range(bounds):  # who knows no way stops at the junction, and all behind him
                        if next_link[k, d] == NO_WAY and cell[last, d] > 0.0:
                            can = 0.0
                    share = can / total
                    for d in range(bounds):
                        goal = next_link[k, d]
                        if goal != NO_WAY:
                            out_sum[goes if goal == HERE else links[goal, SLOT]] += cell[last, d] * share
            in_can[i] = can
            in_go[i] = can
            in_full[i] = -1
        in_can[comes] = 0.0
        here = gate[k, WAITING]
        if here > 0.0:
            can = min(here, door[k, ENTRY])
            share = can / here
            for d in range(bounds):
                goal = next_link[k, d]
                if goal != NO_WAY:
                    out_sum[goes if goal == HERE else links[goal, SLOT]] += waiting[k, d] * share
            in_can[comes] = can
        in_go[comes] = in_can[comes]
        in_full[comes] = -1
        # what every street that goes out takes
        tight = False
        for j in range(goes):
            if out_sum[j] > 0.0:
                b = out_link[o0 + j]
                out_can[j] = _whole(_taken(cell[links[b, BEGIN], bounds], street[b, ROOM], street[b, WAVE], street[b, FLOW]))
                if out_sum[j] > out_can[j]:
                    tight = True
        if out_sum[goes] > 0.0:
            out_can[goes] = min(gate[k, PLACES], door[k, EXIT])
            if out_sum[goes] > out_can[goes]:
                tight = True
        if tight:
            for i in range(comes + 1):
                for j in range(goes + 1):
                    part[i, j] = 0.0
                if in_can[i] > 0.0:
                    weight[i] = door[k, WEIGHT] if i == comes else street[i0 + i, FLOW]
                    for d in range(bounds):
                        goal = next_link[k, d]
                        if goal != NO_WAY:
                            j = goes if goal == HERE else links[goal, SLOT]
                            if i == comes:
                                part[i, j] += waiting[k, d] / here
                            else:
                                last = links[i0 + i, LAST]
                                part[i, j] += cell[last, d] / cell[last, bounds]
            share_out(comes, goes, out_sum, out_can, out_weight, in_can, in_go, in_full, weight, part, done)
        # book what crosses, in whole grains: what leaves a street enters another or arrives
        for i in range(comes):
            a = i0 + i
            if street[a, ON] <= 0.0:
                continue
            last = links[a, LAST]
            total = cell[last, bounds]
            if total <= 0.0:
                continue
            full = in_full[i]
            street[a, CAUSE] = out_link[o0 + full] if 0 <= full < goes else SOURCE
            go = in_go[i]
            if total * street[a, MOVE] > go:
                street[a, HELD] += total * street[a, MOVE] - go
            if go <= 0.0:
                continue
            share = go / total
            for d in range(bounds):
                amount = cell[last, d]
                if amount > 0.0:
                    if share < 1.0:
                        amount = _whole(amount * share)
                    goal = next_link[k, d]
                    flux[a, d] = amount
                    moved += amount
                    if goal == HERE:
                        arrived[k, d] += amount
                        gate[k, PLACES] -= amount
                    else:
                        flux[goal, bounds + d] += amount
        if here > 0.0:
            full = in_full[comes]
            gate[k, BECAUSE] = out_link[o0 + full] if 0 <= full < goes else SOURCE
            share = in_go[comes] / here
            if share > 0.0:
                for q in range(node[k, ORIGIN], node[k, ORIGIN_STOP]):
                    for d in range(bounds):
                        amount = queue[q, d]
                        goal = next_link[k, d]
                        if amount > 0.0 and goal != NO_WAY:
                            if share < 1.0:
                                amount = _whole(amount * share)
                            queue[q, d] -= amount
                            set_out[q] += amount
                            waiting[k, d] -= amount
                            gate[k, WAITING] -= amount
                            moved += amount
                            if goal == HERE:
                                arrived[k, d] += amount
                                gate[k, PLACES] -= amount
                            else:
                                flux[goal, bounds + d] += amount
    return moved


@_plain
def share_out(
    comes: Any,
    goes: Any,
    out_sum: Any,
    out_can: Any,
    out_weight: Any,
    in_can: Any,
    in_go: Any,
    in_full: Any,
    weight: Any,
    part: Any,
    done: Any,
) -> None:
    """Where a street that goes out cannot take all: the most contested one is shared by weight, and so on until all are settled.

    `part[i, j]` is the share of what i sends that wants j. `out_can` and `out_weight` are used up. `in_go` is what each sends, `in_full`
    the street that held it up, or -1.
    """
    for i in range(comes + 1):
        done[i] = in_can[i] <= 0.0
    for _ in range(comes + goes + 2):
        worst, level = -1, np.inf
        for j in range(goes + 1):
            if out_sum[j] > 0.0:
                out_weight[j] = 0.0
                for i in range(comes + 1):
                    if not done[i]:
                        out_weight[j] += weight[i] * part[i, j]
                if out_weight[j] > 0.0 and out_can[j] / out_weight[j] < level:
                    worst, level = j, out_can[j] / out_weight[j]
        if worst < 0:
            break
        any_free = False
        for i in range(comes + 1):  # who wants less than his share of it gets all
            if not done[i] and part[i, worst] > 0.0 and in_can[i] <= level * weight[i]:
                any_free, done[i] = True, True
                for j in range(goes + 1):
                    out_can[j] = max(0.0, out_can[j] - in_can[i] * part[i, j])
        if not any_free:
            for i in range(comes + 1):
                if not done[i] and part[i, worst] > 0.0:
                    done[i] = True
                    in_go[i] = level * weight[i]
                    in_full[i] = worst
                    for j in range(goes + 1):
                        out_can[j] = max(0.0, out_can[j] - in_go[i] * part[i, j])


@_plain
def _streets(n: Any, s: Any, first: Any, stop: Any) -> Any:
    """One step on the busy streets first..stop: between their cells, from the front to the back, then what left and what came."""
    links, cell, street, flux, busy_link = n.link, s.cell, s.street, s.flux, s.busy_link
    bounds = cell.shape[1] - 1
    moved = 0.0
    for x in range(first, stop):
        a = busy_link[x]
        begin, last = links[a, BEGIN], links[a, LAST]
        ahead = cell[last, bounds]  # as it was before the step
        change = 0.0
        for d in range(bounds):
            amount = flux[a, d]
            if amount > 0.0:
                cell[last, d] -= amount
                cell[last, bounds] -= amount
                change -= amount
                flux[a, d] = 0.0
        if last > begin:
            move, flow, wave, room = street[a, MOVE], street[a, FLOW], street[a, WAVE], street[a, ROOM]
            for c in range(last - 1, begin - 1, -1):
                total = cell[c, bounds]
                if total > 0.0:
                    go = min(_sent(total, move, flow), _whole(_taken(ahead, room, wave, flow)))
                    if total * move > go:
                        street[a, HELD] += total * move - go
                    share = go / total
                    if share > 0.0:
                        for d in range(bounds):
                            amount = cell[c, d]
                            if amount > 0.0:
                                if share < 1.0:
                                    amount = _whole(amount * share)
                                cell[c, d] -= amount
                                cell[c, bounds] -= amount
                                cell[c + 1, d] += amount
                                cell[c + 1, bounds] += amount
                                moved += amount
                ahead = total
        for d in range(bounds):
            amount = flux[a, bounds + d]
            if amount > 0.0:
                cell[begin, d] += amount
                cell[begin, bounds] += amount
                change += amount
                flux[a, bounds + d] = 0.0
        street[a, ON] += change
    return moved


@_plain
def root_of(a: Any, street: Any) -> Any:
    """The street that a queue goes back to: where the chain of streets that hold each other up begins."""
    for _ in range(CHAIN_MOST):
        following = int(street[a, CAUSE])
        if following < 0:
            return a
        if street[following, BUSY] == 0:
            return following
        a = following
    return a  # a gridlock: each waits for the next, in a circle


@_plain
def _list_busy_nodes(n: Any, s: Any) -> None:
    """The heads of busy streets, and the nodes where somebody waits to set out."""
    links, busy_link, busy_node, gate, queue_node, count = (
        n.link,
        s.busy_link,
        s.busy_node,
        s.gate,
        s.queue_node,
        s.counter,
    )
    count[STAMPS] += 1
    now, nodes = count[STAMPS], 0
    if now % SORTED_EVERY == 0:  # in the order of memory
        busy_link[: count[LINKS]] = np.sort(busy_link[: count[LINKS]])
    for x in range(count[LINKS]):
        k = links[busy_link[x], HEAD]
        if gate[k, STAMP] != now:
            gate[k, STAMP] = now
            busy_node[nodes] = k
            nodes += 1
    kept = 0
    for x in range(count[QUEUES]):
        k = queue_node[x]
        if gate[k, WAITING] > 0.0:
            queue_node[kept] = k
            kept += 1
            if gate[k, STAMP] != now:
                gate[k, STAMP] = now
                busy_node[nodes] = k
                nodes += 1
        else:
            gate[k, QUEUED] = 0
    count[QUEUES], count[NODES] = kept, nodes


@_plain
def _list_entered(s: Any) -> None:
    """Streets that were empty and are entered now join the busy ones."""
    busy_link, busy_node, next_link, street, flux, count = s.busy_link, s.busy_node, s.next_link, s.street, s.flux, s.counter
    bounds = next_link.shape[1]
    links = count[LINKS]
    for x in range(count[NODES]):
        k = busy_node[x]
        for d in range(bounds):
            goal = next_link[k, d]
            if goal >= 0 and street[goal, BUSY] == 0:
                for e in range(bounds):
                    if flux[goal, bounds + e] > 0.0 and street[goal, BUSY] == 0:
                        street[goal, BUSY] = 1
                        busy_link[links] = goal
                        links += 1
    count[LINKS] = links


@_plain
def _drop_empty(s: Any) -> None:
    """Streets that are empty leave the list; the waiting on them is booked to its cause."""
    busy_link, street, caused, count = s.busy_link, s.street, s.caused, s.counter
    kept = 0
    for x in range(count[LINKS]):
        a = busy_link[x]
        if street[a, ON] > 0.0:
            busy_link[kept] = a
            kept += 1
        else:
            street[a, BUSY] = 0
            if street[a, HELD] > 0.0:
                caused[root_of(a, street)] += street[a, HELD]
                street[a, HELD] = 0.0
    count[LINKS] = kept


@_plain
def ways_to(node: Any, tail: Any, cost_s: Any, is_end: Any, width_s: Any, next_link: Any, time_s: Any) -> None:
    """The quickest way from every node to the nearest end: the link to take (or HERE, NO_WAY) and how long it takes.

    Buckets as wide as the quickest link settle every node in them at once: exact (Denardo & Fox 1979, Oper. Res. 27:161-186; Dinitz 1978).
    A link whose cost is not finite is closed.
    """
    nodes, links = node.shape[0], tail.size
    most = 0.0
    for link in range(links):
        if cost_s[link] < np.inf and cost_s[link] > most:
            most = cost_s[link]
    rings = int(most / width_s) + 3
    first = np.full(rings, -1, np.int64)
    after = np.empty(links + nodes, np.int64)
    what = np.empty(links + nodes, np.int64)
    used = 0
    settled = np.zeros(nodes, np.bool_)
    waiting = 0
    for k in range(nodes):
        next_link[k] = NO_WAY
        time_s[k] = np.inf
        if is_end[k]:
            next_link[k], time_s[k] = HERE, 0.0
            what[used], after[used] = k, first[0]
            first[0] = used
            used += 1
            waiting += 1
    bucket = 0
    while waiting > 0:
        entry = first[bucket % rings]
        first[bucket % rings] = -1
        while entry >= 0:
            k = what[entry]
            entry = after[entry]
            waiting -= 1
            if settled[k]:
                continue
            settled[k] = True
            for link in range(node[k, IN], node[k, IN_STOP]):
                there = time_s[k] + cost_s[link]
                a = tail[link]
                if there < time_s[a]:
                    time_s[a], next_link[a] = there, link
                    slot = int(there / width_s) % rings
                    what[used], after[used] = a, first[slot]
                    first[slot] = used
                    used += 1
                    waiting += 1
        bucket += 1


@_plain
def _close(a: Any, n: Any, s: Any, track: Any) -> Any:
    """Close a street: who is on it is caught."""
    caught = s.street[a, ON]
    for c in range(n.link[a, BEGIN], n.link[a, LAST] + 1):
        s.cell[c, :] = 0.0
    s.street[a, ON] = 0.0
    s.street[a, FLOW] = 0.0
    track.caught_on[a] += caught
    return caught


@_plain
def _slow(a: Any, share: Any, s: Any, dry: Any) -> None:
    """A street at a share of its dry speed: the flow is that of a triangle with the same backward wave and the same standstill."""
    if s.street[a, FLOW] <= 0.0:
        return
    move, wave = dry[a, MOVE] * max(share, SLOWEST), s.street[a, WAVE]
    if move >= s.street[a, MOVE]:
        return
    # flow = v w kj / (v + w): per step, with v and w as shares of a cell and kj as vehicles in a cell
    s.street[a, FLOW] = dry[a, FLOW] * (move / (move + wave)) / (dry[a, MOVE] / (dry[a, MOVE] + wave))
    s.street[a, MOVE] = move


@_plain
def _costs(n: Any, s: Any, dt: Any, heed_jams: Any, cost_s: Any) -> None:
    """The time that each street takes now, s; +inf where it is closed. With `heed_jams`, at the speeds of the traffic on it."""
    bounds = s.next_link.shape[1]
    for a in range(cost_s.size):
        cells = n.link[a, LAST] + 1 - n.link[a, BEGIN]
        cost_s[a] = np.inf if s.street[a, FLOW] <= 0.0 or s.barred[a] else cells * dt / s.street[a, MOVE]
    if heed_jams:
        for x in range(s.counter[LINKS]):
            a = s.busy_link[x]
            if cost_s[a] < np.inf:
                cost = 0.0
                for c in range(n.link[a, BEGIN], n.link[a, LAST] + 1):
                    speed, total = s.street[a, MOVE], s.cell[c, bounds]
                    if total > 0.0:
                        speed = min(speed, max(s.street[a, WAVE] * (s.street[a, ROOM] - total) / total, SLOWEST * speed))
                    cost += dt / speed
                cost_s[a] = cost


@_plain
def _is_on_a_way(a: Any, n: Any, s: Any) -> Any:
    k, found = n.tail[a], False
    for d in range(s.next_link.shape[1]):
        found = found or s.next_link[k, d] == a
    return found


@_plain
def _happen(n: Any, s: Any, course: Any, track: Any, dry: Any, at: Any, i: Any) -> Any:
    """What happens from outside at the start of step `i`. Gives who was caught, and whether a way has changed."""
    bounds = s.next_link.shape[1]
    dirty, caught = False, 0.0
    while at[0] < course.change_step.size and course.change_step[at[0]] <= i:
        a, share = course.change_link[at[0]], course.change_share[at[0]]
        at[0] += 1
        if s.street[a, FLOW] > 0.0 and _is_on_a_way(a, n, s):
            dirty = True
        if share < 0.0:
            s.barred[a] = True
        elif share == 0.0:
            caught += _close(a, n, s, track)
        else:
            _slow(a, share, s, dry)
    while at[1] < course.shut_step.size and course.shut_step[at[1]] <= i:
        q = course.shut_origin[at[1]]
        k = course.origin_node[q]
        at[1] += 1
        for d in range(bounds):
            amount = s.queue[q, d]
            s.queue[q, d] = 0.0
            s.waiting[k, d] -= amount
            s.gate[k, WAITING] -= amount
            track.stayed[q] += amount
    while at[2] < course.set_out_step.size and course.set_out_step[at[2]] <= i:
        q, d, amount = course.set_out_origin[at[2]], course.set_out_bound[at[2]], course.set_out_vehicles[at[2]]
        k = course.origin_node[q]
        at[2] += 1
        s.queue[q, d] += amount
        s.waiting[k, d] += amount
        s.gate[k, WAITING] += amount
        if s.gate[k, QUEUED] == 0:
            s.gate[k, QUEUED] = 1
            s.queue_node[s.counter[QUEUES]] = k
            s.counter[QUEUES] += 1
    return caught, dirty


@_plain
def _is_a_goal_newly_full(s: Any, course: Any) -> Any:
    found = False
    for x in range(course.limited.size):
        k = course.limited[x]
        if s.gate[k, PLACES] < CRUMB:
            s.gate[k, PLACES] = 0.0
            for d in range(s.next_link.shape[1]):
                if s.next_link[k, d] == HERE:
                    found = True
    return found


@_plain
def _write_down(s: Any, course: Any, track: Any, record: Any, span: Any, caught: Any) -> None:
    """One record; the waiting since the last one is booked to its causes."""
    on, waits, total = 0.0, 0.0, 0.0
    for x in range(s.counter[LINKS]):
        a = s.busy_link[x]
        on += s.street[a, ON]
        if s.street[a, HELD] > 0.0:
            s.caused[root_of(a, s.street)] += s.street[a, HELD]
            s.street[a, HELD] = 0.0
    for x in range(s.counter[QUEUES]):
        k = s.queue_node[x]
        if s.gate[k, WAITING] > 0.0:
            waits += s.gate[k, WAITING]
            if s.gate[k, BECAUSE] >= 0:
                s.caused[root_of(int(s.gate[k, BECAUSE]), s.street)] += s.gate[k, WAITING] * span
    for e in range(course.end_node.size):
        for d in range(s.next_link.shape[1]):
            track.arrived[record, e] += s.arrived[course.end_node[e], d]
        total += track.arrived[record, e]
    track.on_road[record], track.waiting[record], track.caught[record] = on, waits, caught
    track.set_out[record] = on + caught + total


@_plain
def _what_next(s: Any, course: Any, at: Any, i: Any, steps: Any, find_at: Any) -> Any:
    """The step to go on with where nothing stirs: when next something happens from outside."""
    following = IDLE
    somebody = s.counter[LINKS] > 0 or s.counter[QUEUES] > 0
    to_come = at[2] < course.set_out_step.size
    if to_come:
        following = min(following, course.set_out_step[at[2]])
    if at[0] < course.change_step.size and (somebody or to_come):
        following = min(following, course.change_step[at[0]])
    if at[1] < course.shut_step.size and (somebody or to_come):
        following = min(following, course.shut_step[at[1]])
    if somebody:
        following = min(following, find_at)
    return min(max(following, i + 1), steps)


@_plain
def run(
    n: Any, s: Any, course: Any, track: Any, dt: Any, steps: Any, find_every: Any, heed_jams: Any, thread: Any, threads: Any
) -> None:
    """Play all steps. Every thread calls this; the first leads, the others help at junctions and streets."""
    count, sync = s.counter, s.sync
    nodes, bounds = n.node.shape[0], s.next_link.shape[1]
    cost_s, time_s = np.empty(n.tail.size), np.empty(nodes)
    column, open_end = np.empty(nodes, np.int64), np.empty(nodes, np.bool_)
    dry = s.street.copy()
    at = np.zeros(3, np.int64)  # how many changes, shuttings and settings-out have happened
    caught, record, recorded, find_at, dirty = 0.0, 0, 0, 0, True
    while True:
        i = count[AT]
        if thread == 0:
            count[RUNNING] = 1 if i < steps else 0
            if i < steps:
                lost, changed = _happen(n, s, course, track, dry, at, i)
                caught += lost
                dirty = dirty or changed
                if _is_a_goal_newly_full(s, course):
                    dirty, find_at = True, i
                count[FIND] = 1 if i >= find_at and (dirty or heed_jams) else 0
                if count[FIND] == 1:
                    track.counts[1] += 1
                    find_at, dirty = i + find_every, False
                _list_busy_nodes(n, s)
                sync[TAKEN_NODES], sync[TAKEN_STREETS] = 0, 0
        _meet(sync, threads)
        if count[RUNNING] == 0:
            break
        if count[FIND] == 1:
            _costs(n, s, dt, heed_jams, cost_s)
            for d in range(thread, bounds, threads):
                for k in range(nodes):
                    open_end[k] = course.is_end[d, k] and s.gate[k, PLACES] >= CRUMB
                ways_to(n.node, n.tail, cost_s, open_end, dt, column, time_s)
                for k in range(nodes):
                    s.next_link[k, d] = column[k]
            _meet(sync, threads)
            if thread == 0:
                for d in range(bounds):
                    other = course.instead[d]
                    if other >= 0:
                        for k in range(nodes):
                            if s.next_link[k, d] == NO_WAY:
                                s.next_link[k, d] = s.next_link[k, other]
            _meet(sync, threads)
        moved = 0.0
        while True:
            first = _atomic_add(sync, TAKEN_NODES) * CHUNK
            if first >= count[NODES]:
                break
            moved += _junctions(n, s, first, min(first + CHUNK, count[NODES]))
        _meet(sync, threads)
        if thread == 0:
            _list_entered(s)
        _meet(sync, threads)
        while True:
            first = _atomic_add(sync, TAKEN_STREETS) * CHUNK
            if first >= count[LINKS]:
                break
            moved += _streets(n, s, first, min(first + CHUNK, count[LINKS]))
        s.moved[thread] = moved
        _meet(sync, threads)
        if thread == 0:
            _drop_empty(s)
            track.counts[0] += 1
            track.counts[2] += count[LINKS]
            following = i + 1
            if s.moved.sum() == 0.0:
                following = _what_next(s, course, at, i, steps, find_at if dirty or heed_jams else IDLE)
            while record < track.step.size and track.step[record] <= following:
                _write_down(s, course, track, record, float(track.step[record] - recorded), caught)
                recorded = track.step[record]
                record += 1
            count[AT] = following
        _meet(sync, threads)
