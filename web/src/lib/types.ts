// What the HTTP interface says, as types. Times are UTC in ISO 8601; ids of records look like "warning-<32 hex>".
import type { FeatureCollection, LineString, Point, Polygon, MultiPolygon } from 'geojson'

export type Level = -1 | 0 | 1 | 2 | 3 | 4
export type LimitName = 'blue' | 'yellow' | 'orange' | 'red'
export type Flag = 1 | 2 | 3 | 4 | 9
export type LonLat = [number, number]

export interface Status {
  version: string
  purpose: 'actual' | 'exercise' | 'demo'
  made_up: boolean
  name: string
  time: string
  clock: { speed: number }
  console: boolean
  signed_in: boolean
  hazards: { hazard: string; legend: Record<'depth' | 'chance', Swatch[]> }[] // those that are watched, in the order in which they were named
}

/** A class of a forecast's picture, from its lower bound on. */
export interface Swatch {
  from: number
  colour: string
}

/** What the server's gate is asked; those that the console offers something for. */
export type Act = 'release alert' | 'write hardlimits' | 'decide appeal' | 'write libraryplan' | 'write comparison' | 'write planevent' | 'write decision' | 'write report' | 'write note' | 'read ledger'

export interface Session {
  name: string
  roles: string[]
  may: string[]
  csrf: string
}

export interface Estimate {
  mean: number
  low: number
  middle: number
  high: number
  unit: string
}

export interface Twin {
  name: string
  made_up: boolean
  bounds: [number, number, number, number]
  corners: [LonLat, LonLat, LonLat, LonLat]
  cell_m: number
  people_night: number
  people_day: number
  buildings: number
  road_km: number
  waters: { name: string; usual_level_m: number }[]
  zones: FeatureCollection<Polygon | MultiPolygon, { name: string; people: number }>
  lines: FeatureCollection<LineString, { name: string; sort: string }>
  sources: { what: string; title: string; licence: string; attribution: string }[]
}

export type Assets = FeatureCollection<Point, { id: string; name: string; sort: string; amount: number; unit: string }>

export interface Gauge {
  site: string
  name: string
  lon: number
  lat: number
  quantity: string
  unit: string
  value: number | null
  time: string | null
  flag: Flag
  flag_reason: string
  age_s: number | null
  trend_per_h: number | null
  level: Level
  last_level: Level
  blind: boolean
  limits: Partial<Record<LimitName, number>> | null
  sparkline: [number, number | null, Flag][]
}

export interface GaugeSeries extends Gauge {
  series: { time_ms: number[]; value: (number | null)[]; flag: Flag[] }
}

export interface Warning {
  id: string
  time: string
  site: string
  hazard: string
  level: Level
  before: Level
  reason: string
  rule: string
  value: number | null
  unit: string
  public: boolean
  cause: string[]
  active: boolean
  alert: string | null
}

export interface Alert {
  id: string
  time: string
  identifier: string
  status: string
  message_type: string
  headline: string
  warning: string | null
  draft: string | null
}

export interface Forecast {
  id: string
  time: string
  hazard: string
  model: string
  source: string
  limits: string
  members: number
  duration_s: number
  frame_s: number[]
  scenario: Record<string, string>
  impact: Record<string, Estimate>
  corners: [LonLat, LonLat, LonLat, LonLat]
  made_up?: boolean
  quantity: { name: string; unit: string }
  danger_from: number | null
  shown_as: string // what a legend calls the quantity, by its pack; '' where the pack does not say
  words: Record<string, string>
  opens_with: 'q50' | 'chance'
  asked_by?: string
  verification?: { words: string; time: string; again: string; contradictions: string[] } | null
}

export interface Quantiles {
  q05: number
  q50: number
  q95: number
}

export interface Here {
  depth: Quantiles
  chance: number
  arrival_h: Quantiles | null
  people: number
}

export type RoadsCut = FeatureCollection<LineString, { name: string; class: string; state: 'cut' | 'slow'; peak: number }>

export interface ZoneRisk {
  zone: string
  people: number
  exposed: Estimate
  chance: number
  first_arrival_h: number | null
}

/** What fails in a forecast's futures, what that takes down in turn, and what would help. */
export interface RiskChains {
  members: number
  links: number
  links_assumed: number
  figures: Record<string, Estimate>
  ways: { points: string[]; names: string[]; links: string[]; assumed: boolean; share: number; low: number; high: number; begins_h: number; after_h: number[] }[]
  breaks: { verb: string; target: string; what: string; saved: number; low: number; high: number; helps_share: number }[]
  remarks: string[]
}

export interface Effect {
  verb: string
  target: string
  amount: number
}

export interface Action {
  name: string
  do: string
  role: string
  duration: { low_min: number; usual_min: number; high_min: number; shape: 'triangle' | 'lognormal'; source: string }
  effects: Effect[]
  level: string
  after: string[]
  when: string
  cancel: string
  cancel_on_leave: boolean
  otherwise: string
  needs: Record<string, number>
  deadline_min: number
  repeat_most: number
  cost: number
  gradual: boolean
}

export interface Plan {
  name: string
  hazard: string
  summary: string
  digest: string
  level: Level
  authority: string
  levels: PlanLevel[]
  actions: Action[]
  resources: Record<string, number>
  substitutes: Record<string, { use: string; rate: number }[]>
  currency: string
  basis: string[]
  saved_by?: string
}

export interface PlanLevel {
  name: string
  level: Level
  enter: string
  leave: string
  authority: string
  automatic: boolean
  approval_min: number
}

/** How a plan went in one future: what became of each action, in seconds after the decision. */
export interface Course {
  done: { action: string; start_s: number | null; end_s: number | null; failed: string; skipped: string; not_known: string }[]
  happenings: { kind: string; name: string; time_s: number; why: string }[]
  future: number
  futures: number[]
  harm: number
}

export interface Limits {
  limits: string[]
  set: { id: string; time: string; by: string; limits: string[]; reason: string; signed: boolean }[]
  figures: string[]
  zones: string[]
}

export type JobState = 'running' | 'done' | 'failed' | 'cancelled'

export interface Suggested {
  plan: Plan
  origin: 'search' | 'case' | 'library'
  why: string
  digest: string
  toml: string
}

export interface Job {
  id: string
  kind: 'compare' | 'futures' | 'suggest'
  asked: string
  by: string
  began: string
  state: JobState
  task: string
  done: number
  total: number
  why: string
  result: {
    forecast?: string
    comparison?: string
    recommended?: string
    reason?: string
    tried?: number
    futures?: number | string
    plans?: { rank: number; plan: string; harm: Estimate }[]
    suggested?: Suggested[]
  }
}

export interface ScenarioStart {
  hazard: string
  toml: string
  why_not_now: string
  drives: Record<string, { unit: string; meaning: string }>
  waters: string[]
  knobs: Record<string, { unit: string; low: number; usual: number; high: number; meaning: string }>
  members_most: number
}

export interface Options {
  hazard: string
  plan: Plan
  roles: string[]
  agreeing: string[]
  verbs: Doable[]
  zones: string[]
}

/** A verb that an effect may have here: its unit and range (null: no bound), and its targets; `open` where others can be written. */
export interface Doable {
  verb: string
  meaning: string
  unit: string
  low: number | null
  high: number | null
  targets: string[]
  open: boolean
}

export interface Checked {
  ok: boolean
  faults: { path: (string | number)[]; message: string }[]
  toml: string
  digest: string
}

export interface Execution {
  decision: string
  plan: string
  hazard: string
  authority: string
  began: string
  over: boolean
  ended: string
  broken: string
  proposed: string[]
  levels: { name: string; level: string; authority: string; phase: 'out' | 'proposed' | 'refused' | 'in' | 'left'; since: string | null; enter: string; leave: string }[]
  actions: {
    name: string
    do: string
    role: string
    level: string
    otherwise: string
    phase: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'skipped'
    began: string | null
    ended: string | null
    called: boolean
    waits_for: string[]
    when: string
    not_known: string
    why: string
    order: string | null
    overdue: boolean
  }[]
}

export interface Breach {
  limit: string
  chance: number
  low: number
  high: number
  permitted: number
  broken: boolean
}

export interface Borne {
  name: string
  persons: number
  of: number
  per_1000: number | null
}

export interface Flip {
  kind: 'future' | 'weight' | 'limit' | 'number' | 'price'
  plan: string
  sentence: string
}

/** How open the choice is; null in comparisons from before it was told. */
export interface Choice {
  runner_up: string
  margin: { mean: number; low: number | null; high: number | null; futures: number; unit: string } | null
  flips: Flip[]
  ask_first: { name: string; worth: number; unit: string; p: number; sentence: string }[]
  worth_of_all: number
  weightings: Record<string, string>
  equity: string
  remarks: string[]
  /** What those are called whom the hazard harms, where its pack says it otherwise than "people in danger". */
  harmed?: string
}

export interface Score {
  plan: string
  digest: string
  rank: number
  harm: Estimate
  cvar: number
  regret_mean: number
  regret_worst: number
  damage: Estimate
  cost: number
  finished_s: Estimate
  failed_share: number
  best_share: number
  reason: string
  figures: Record<string, Estimate>
  futures: number
  limits: Breach[]
  dominated_by: Record<string, string>
  zones: Borne[]
  groups: Borne[]
  gini: number | null
  harm_by_future: (number | null)[]
}

export interface Comparison {
  id: string
  hazard: string
  time: string
  forecast: string
  futures: number
  recommended: string
  reason: string
  doubt: string
  scores: Score[]
  choice: Choice | null
  decision?: string | null
}

export type Verdict = 'approve' | 'reject'

export interface Decision {
  id: string
  time: string
  plan: string
  verdict: Verdict
  signer: string
  comment: string
  signature_ok: boolean
}

export type OrderState = 'sent' | 'acknowledged' | 'started' | 'done' | 'failed' | 'cancelled'

export interface Order {
  id: string
  time: string
  plan: string
  hazard: string
  action: string
  do: string
  role: string
  target: string
  needs: Record<string, number>
  start: string
  due: string
  state: OrderState
  overdue: boolean
  reports: { time: string; state: OrderState; text: string; by: string }[]
}

export interface LedgerRecord {
  kind: string
  time: string
  subject: string
  [field: string]: unknown
}

export interface Entry {
  number: number
  id: string
  actor: string
  written: string
  record: LedgerRecord
}

export interface ChainNode {
  id: string
  kind: string
  time: string | null
  actor: string | null
  text: string
  depth: number
}

export interface Chain {
  nodes: ChainNode[]
  edges: [string, string][]
  complete?: boolean
}

export interface Ledger {
  size: number
  root: string
  verified: boolean | null
  checked_at: string | null
}

export interface Source {
  quantity: string
  site: string
  unit: string
  state: 'blind' | 'faulty' | 'overdue' | 'warns' | 'works'
  why: string
  value: number | null
  time: string | null
  arrived: string | null
  age_s: number | null
  lag_s: number | null
  lag_spread_s: number | null
  clock_ahead_s: number | null
  per_hour: number | null
  good_share: number | null
  shares: Record<string, number>
  dropped: Record<string, number>
  faults: string[]
  blind: string[]
  level: string
}

export interface CollectorTally {
  received: number
  taken: number
  lost: number
  dropped: Record<string, number>
  last: string | null
  said: Record<string, string>
}

export interface CollectorStanding {
  name: string
  kind: string
  broken: string
  tally: CollectorTally | null
}

/** Every stream and collector, the worst first; what became of the readings, by quantity; what senders were refused, by sender. */
export interface Sources {
  sources: Source[]
  counted: Record<string, Record<string, number>>
  collectors: CollectorStanding[]
  refused: Record<string, Record<string, number>>
}

export interface Verified {
  entries: number
  root: string
  ok: boolean
  message: string
}

export interface Progress {
  task: string
  done: number
  total: number
  message: string
  hazard: string
}

export interface AppealRuling {
  appeal: string
  upheld: boolean
  days: string[]
  decided: string
  reason: string
}

/** An objection to a health status: its form, until when a person has to decide it, and what was decided. */
export interface WaitingAppeal {
  id: string
  due: string
  form: { colour: 'green' | 'yellow' | 'red' | 'unknown'; purpose: string; days: string[]; words: string }
  ruling: AppealRuling | null
}
