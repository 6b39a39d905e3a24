import type { Action, Level, Options, PlanLevel } from './types'

/** The plan that is being composed: its parts with numbers of their own, so that a form stays the same form while a name is changed. */
export interface Draft {
  name: string
  summary: string
  level: Level
  actions: (Action & { id: number })[]
  levels: (PlanLevel & { id: number })[]
  resources: Record<string, number>
  substitutes: Record<string, { use: string; rate: number }[]>
}

export const MOST_UNDONE = 100

/** What was written, step by step: `note` a state that has settled, go `back` and `forth`. */
export class Past {
  #states: string[]
  #at = 0

  constructor(first: Draft) {
    this.#states = [JSON.stringify(first)]
  }

  /** Keep a state, if it is another one than the last; what was undone before it is gone. */
  note(draft: Draft): void {
    const state = JSON.stringify(draft)
    if (state === this.#states[this.#at]) return
    this.#states = [...this.#states.slice(0, this.#at + 1), state].slice(-MOST_UNDONE)
    this.#at = this.#states.length - 1
  }

  back(): Draft | null {
    if (this.#at === 0) return null
    return this.#read(--this.#at)
  }

  forth(): Draft | null {
    if (this.#at === this.#states.length - 1) return null
    return this.#read(++this.#at)
  }

  get canGoBack(): boolean {
    return this.#at > 0
  }

  get canGoForth(): boolean {
    return this.#at < this.#states.length - 1
  }

  #read(at: number): Draft {
    return JSON.parse(this.#states[at] ?? '') as Draft
  }
}

let numbers = 0
export const numbered = <T>(one: T): T & { id: number } => ({ ...structuredClone(one), id: ++numbers })

/** An action that is nobody's yet. */
export function ownAction(name: string, options: Options): Action {
  return {
    name,
    do: '',
    role: options.roles[0] ?? '',
    duration: { low_min: 15, usual_min: 30, high_min: 60, shape: 'triangle', source: '' },
    effects: [],
    level: '',
    after: [],
    when: '',
    cancel: '',
    cancel_on_leave: false,
    otherwise: '',
    needs: {},
    deadline_min: 1440,
    repeat_most: 1,
    cost: 0,
    gradual: false,
  }
}

/** A level that calls nothing yet. */
export const ownLevel = (name: string, authority: string): PlanLevel => ({ name, level: 3, enter: '', leave: '', authority, automatic: false, approval_min: 0 })

/** The draft as the platform takes it: without numbers, and without what it would refuse because it names an action that was taken out. */
export function asPlan(draft: Draft, options: Options): Record<string, unknown> {
  const { hazard, currency, authority } = options.plan
  const names = new Set(draft.actions.map((a) => a.name))
  return {
    name: draft.name.trim(),
    hazard,
    summary: draft.summary.trim(),
    actions: draft.actions.map(({ id: _, ...a }) => ({ ...a, after: a.after.filter((b) => names.has(b)), otherwise: names.has(a.otherwise) ? a.otherwise : '' })),
    level: draft.level,
    authority,
    levels: draft.levels.map(({ id: _, ...l }) => l),
    resources: draft.resources,
    substitutes: draft.substitutes,
    currency,
  }
}
