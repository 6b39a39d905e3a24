// When each action of a plan could start and end, if all goes as usual and nothing waits for a resource.
import type { Action } from './types'

export interface Slot {
  action: Action
  start_min: number
  usual_min: number
  high_min: number
}

/** Actions in the order of their earliest start. A circle in `after` cannot come from the server; it would end here, not hang. */
export function schedule(actions: Action[]): Slot[] {
  const byName = new Map(actions.map((a) => [a.name, a]))
  const ends = new Map<string, number>()
  const endOf = (name: string, above: string[]): number => {
    const action = byName.get(name)
    if (!action || above.includes(name)) return 0
    const known = ends.get(name)
    if (known !== undefined) return known
    const end = startOf(action, above) + action.duration.usual_min
    ends.set(name, end)
    return end
  }
  const startOf = (action: Action, above: string[]): number => Math.max(0, ...action.after.map((before) => endOf(before, [...above, action.name])))
  return actions
    .map((action) => {
      const start_min = startOf(action, [])
      return { action, start_min, usual_min: start_min + action.duration.usual_min, high_min: start_min + action.duration.high_min }
    })
    .sort((a, b) => a.start_min - b.start_min || a.usual_min - b.usual_min)
}
