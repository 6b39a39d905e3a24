"""When futures are lost: whether others may go on from their state, moved towards gauges on the ground, and why not where they may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from tocsin.decision.observe import going_on, moved_state
from tocsin.edge.state_update import StateUpdate
from tocsin.flows.following import Followed
from tocsin.host import Host
from tocsin.pack import Model
from tocsin.platform.forecasts import StoredForecast
from tocsin.vocabulary import Forecast, StateMoved, TocsinError, World


def model_going_on(
    model: Model,
    world: World,
    lost: Followed,
    forecast: Forecast,
    *,
    folder: Path,
    host: Host,
    update: StateUpdate,
    note: Callable[[str], object],
) -> tuple[Model, StateMoved | None]:
    """The model from the state of the futures that are lost, moved towards gauges on the ground, if that is turned on and tells held-back gauges better.

    Else the model from the start; why it is so is a line that `note` is told. `forecast` is the record of the futures, its fields lie in `folder`.
    """
    if not update.on or model.starts_from is None or lost.kept is None or not lost.ground:
        return model, None
    at_s = (world.time - forecast.time).total_seconds()
    try:
        stored = StoredForecast(folder / forecast.result)
        frame_s = np.array(stored.meta.frame_s)
        newest = {s.place: s for s in sorted(lost.ground, key=lambda s: s.time_s)}
        first = max(0, int(np.searchsorted(frame_s, min(s.time_s for s in newest.values()), side="right")) - 1)
        last = min(int(np.searchsorted(frame_s, at_s)), frame_s.size - 1)
        frames = np.stack([stored.frame(k) for k in range(first, last + 1)])
        foreseen = msgspec.structs.replace(lost.kept, frames=frames, frame_s=tuple(frame_s[first : last + 1].tolist()))
        moved = moved_state(
            world, foreseen, tuple(newest.values()), host.chance("state update"), reach_m=update.reach_m, at_s=at_s
        )
    except TocsinError as fault:
        note(f"the state was not moved towards its gauges: {fault}")
        return model, None
    if not moved.is_better:
        said = (
            f"held-back gauges are told worse by it, CRPS {moved.crps_before:.3g} before and {moved.crps_after:.3g} after"
            if moved.held_back
            else f"no gauge is near another one, so nothing shows that it helps; reach_m is {update.reach_m:g}"
        )
        note(f"the state was not moved towards its {moved.gauges} gauges on the ground: {said}")
        return model, None
    states = {f.number: moved.state[k].astype(np.float32) for k, f in enumerate(lost.kept.futures)}
    told = StateMoved(lost.forecast_id, moved.gauges, moved.held_back, moved.crps_before, moved.crps_after, model.makes.unit)
    return going_on(model, states), told
