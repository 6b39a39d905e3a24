// Every English word that the console says by itself, in one place; another language is another file of this shape.
import type { Flag, Forecast, Level, LedgerRecord, OrderState } from './types'
import { number, words } from './format'

export const LEVEL: Record<Level, string> = { [-1]: 'blind', 0: 'normal', 1: 'blue', 2: 'yellow', 3: 'orange', 4: 'red' }

export const FLAG: Record<Flag, string> = { 1: 'good', 2: 'not checked', 3: 'suspect', 4: 'fail', 9: 'missing' }

export const STATE: Record<OrderState, string> = {
  sent: 'sent',
  acknowledged: 'acknowledged',
  started: 'started',
  done: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
}

export const REPORT: Partial<Record<OrderState, string>> = { acknowledged: 'Acknowledge', started: 'Started', done: 'Done', failed: 'Failed', cancelled: 'Cancel' }

export const KIND: Record<string, string> = {
  readings: 'Batch',
  evidence: 'Readings',
  sensorfault: 'Sensor fault',
  warning: 'Warning',
  alertdraft: 'Alert draft',
  forecast: 'Forecast',
  comparison: 'Comparison',
  decision: 'Decision',
  order: 'Order',
  report: 'Report',
  incident: 'Incident',
  note: 'Note',
  bulletin: 'Bulletin',
  planevent: 'Plan',
  hardlimits: 'Hard limits',
  libraryplan: 'Library',
  verification: 'What came',
}

export const PURPOSE = { actual: 'ACTUAL', exercise: 'EXERCISE', demo: 'DEMONSTRATION' }

export const VIEWS = { q05: 'Low', q50: 'Middle', q95: 'High', chance: 'Chance', member: 'One future' }

export const VIEW_MEANS = {
  q05: 'What 95 in 100 futures exceed',
  q50: 'What half of the futures exceed',
  q95: 'What 5 in 100 futures exceed',
  chance: 'Share of the futures in which it is dangerous',
  member: 'One of the simulated futures, as it would unfold',
}

const ASSET_KINDS: Record<string, string> = { hospitals: 'Hospital', shelters: 'Shelter', schools: 'School', depots: 'Depot' }
export const assetKind = (kind: string): string => ASSET_KINDS[kind] ?? words(kind)

const METRICS: Record<string, string> = {
  people_in_danger: 'People in danger',
  people_exposed: 'People reached',
  people_cut_off: 'People cut off',
  people_without_power: 'People without power',
  people_without_water: 'People without water',
  people_without_telecom: 'People without telecom',
  people_without_nearest_hospital: 'People without their nearest hospital',
  buildings_affected: 'Buildings reached',
  road_km_slowed: 'Roads slowed',
  roads_cut_km: 'Roads cut',
  road_km_cut: 'Roads cut',
  damage: 'Damage to buildings',
}
/** A figure's name; `own` is what the hazard's pack calls it. */
export const metric = (name: string, own: Record<string, string> = {}): string => (own[name] ? capital(own[name]) : (METRICS[name] ?? words(name)))
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const QUANTITIES: Record<string, string> = { river_level: 'River level', rain_amount: 'Rain', lake_level: 'Lake level', flood_depth: 'Water depth' }
export const quantity = (name: string): string => QUANTITIES[name] ?? words(name)

/** What those are called whom the hazard of a comparison harms, in the middle of a sentence. */
export const harmedWords = (choice: { harmed?: string } | null | undefined): string => choice?.harmed ?? 'people in danger'

/** A unit behind a number: nothing for a plain one. */
export const unitWords = (unit: string): string => (unit === '1' ? '' : ` ${unit}`)

/** From what on a forecast's hazard is dangerous, in words: "more than 0.3 m"; harm, where it harms a share of the people. */
export const dangerWords = (forecast: Forecast | null, sign = 'more than'): string =>
  forecast?.danger_from == null
    ? 'harm'
    : `${sign} ${forecast.danger_from}${unitWords(forecast.quantity.unit)}${forecast.quantity.unit === '1' && forecast.shown_as ? ` ${forecast.shown_as}` : ''}`

export const t = {
  product: 'Tocsin',
  skipWarnings: 'Skip to warnings and gauges',
  skipMap: 'Skip to the map',
  skipPlans: 'Skip to risk, plans and orders',
  situation: 'Situation',
  warnings: 'Warnings',
  hazard: 'Hazard',
  hazards: 'Hazards',
  isAssessed: 'is assessed',
  waitsToBeAssessed: 'waits',
  toDecide: 'to decide',
  gauges: 'Gauges',
  map: 'Map',
  riskPlans: 'Risk & plans',
  orders: 'Orders',
  log: 'Log',
  ledger: 'Ledger',
  appeals: 'Appeals',
  appealsWhy: 'Objections to a health status. Whoever objects is not named here unless the words do it. A status that nobody decided in time is yellow at most.',
  mayNotAppeals: 'Appeals are decided by those who hold the role health.',
  noAppeals: 'No appeal waits.',
  appealsDecided: 'Decided',
  appealDue: (when: string) => `decide by ${when}`,
  appealLate: 'overdue',
  appealDays: (days: string) => `about ${days}`,
  appealRule: 'Decide',
  appealReason: 'Reason, which the person reads (goes into no ledger)',
  appealUphold: 'Uphold: these days count for nothing',
  appealReject: 'Do not uphold',
  appealWasUpheld: 'Upheld',
  appealWasNot: 'Not upheld',
  outcomeTitle: 'What became of my appeal',
  outcomeWhy: 'The name of an appeal is known to the phone that filed it and to nobody else. You need no account.',
  outcomeName: 'Name of the appeal (32 letters 0-9 and a-f)',
  outcomeAsk: 'Show',
  outcomeUpheld: 'The days that you objected to count for nothing on your phone, once it has taken this ruling.',
  outcomeNot: 'The status stays as it is until its days are over.',
  outcomeWaits: 'Not decided yet',
  outcomeWaitsWhy: 'A person decides it. Once it is overdue your status is yellow at most.',
  sources: 'Sources',
  sourcesWhy: 'Last seen, rate, lag and quality of each source',
  site: 'Site',
  quantity: 'Quantity',
  lastSeen: 'Last seen',
  lag: 'Lag',
  rate: 'Rate',
  goodShare: 'Good',
  state: 'State',
  neverSeen: 'never',
  works: 'works',
  blindSince: 'No rule sees this site now; the level is what was seen last and still holds',
  blindSource: 'blind: its rule sees nothing',
  noSources: 'No source has sent anything yet.',
  clockAhead: (by: string) => `clock ${by} ahead`,
  needLook: (n: number, of: number) => (n ? `${n} of ${of} sources need a look` : `All ${of} sources work`),
  collector: 'Collector',
  collectors: 'Collectors',
  received: 'Received',
  taken: 'Taken',
  droppedWhy: 'Dropped, and why',
  brokenCollector: 'broken',
  refusedSenders: 'Senders that were refused',
  notTaken: 'Received and marked',
  close: 'Close',
  loading: 'Loading…',

  signIn: 'Sign in',
  signOut: 'Sign out',
  name: 'Name',
  password: 'Password',
  signInWhy: 'What this console shows is for people on duty. Everything that is done here is recorded under your name.',
  sessionEnded: 'Your session has ended. Sign in again; nothing was lost.',
  signingIn: 'Signing in…',
  noServer: 'The server does not answer. This page tries again by itself.',

  madeUp: 'MADE UP',
  madeUpWhy: 'This place and its people do not exist. Nothing here is a real emergency.',
  exerciseWhy: 'This is an exercise. Nothing leaves this system.',
  demoWhy: 'A demonstration, not operations.',
  faster: (speed: number) => `Time runs ${number(speed)} times as fast as in life.`,
  lost: (since: string) => `No contact since ${since}; showing what was known then.`,
  lostNow: 'Trying to reconnect by itself. Decisions and reports cannot be sent until contact is back.',
  live: 'Live',
  noContact: 'No contact',

  noWarnings: 'No warning in force. The rules judge every reading as it comes.',
  earlier: (n: number) => `Earlier (${n})`,
  cause: 'Cause',
  noGauges: 'No gauge is set up in this twin.',
  noReading: 'no reading',
  ago: (age: string) => `${age} ago`,
  was: (level: string) => `was ${level}`,
  over: 'over',
  notPublic: 'Not for the public: one of the numbers behind this rule has not been compared with its source.',
  rising: 'rising',
  falling: 'falling',
  steady: 'steady',
  noTrend: 'no trend',
  limits: 'Limits',
  time: 'Time',
  value: 'Value',
  quality: 'Quality',
  hoursShown: (h: number) => (h < 48 ? `${h} h` : `${h / 24} days`),
  alertDraft: 'Alert draft (CAP 1.2)',
  alertOpen: 'Open the XML',
  release: 'Release…',
  releaseSure: (status: string) => `Let this message go out to the public as ${status}?`,
  releaseYes: 'Release it',
  back: 'Back',
  released: (status: string, at: string) => `released as ${status}, ${at}`,
  noAlert: 'No alert was drafted for this warning.',
  rule: 'Rule',
  raised: 'Raised',
  level: 'Level',

  forecast: 'Forecast',
  noForecast: 'No forecast yet. One starts by itself when a warning calls for it.',
  atRisk: 'At risk',
  whatCame: 'Expected and came',
  lowMiddleHigh: 'low · middle · high of the futures',
  more: (n: number) => `${n} more figures`,
  byZone: 'By zone',
  pathOfRisk: 'Path of the risk',
  likelyWays: 'What takes what down, most often first',
  noWays: 'Nothing that the hazard takes out takes anything else down.',
  takesDown: 'takes down',
  hoursLater: (h: number) => `+${h.toFixed(1)} h`,
  atHour: (h: number) => `at ${h.toFixed(1)} h`,
  assumed: 'assumed link',
  wouldHelp: 'What would help most, from now on, one at a time',
  saves: (saved: string, span: string, share: string) => `${saved} fewer losses of a service by persons (${span}); helps in ${share}`,
  assumedAndNotKnown: (assumed: number, links: number) => `Assumed, and not known: ${assumed} of ${links} links`,
  zone: 'Zone',
  people: 'People',
  chance: 'Chance',
  firstArrival: 'First arrival',
  about: 'About this forecast',
  model: 'Model',
  source: 'Source',
  limitsOfModel: 'Limits',
  futures: (n: number) => `${n} futures`,
  covers: 'Covers',
  made: 'Made',
  chanceOf: (danger: string) => `Chance of ${danger}`,
  roadCut: 'Road cut',
  roadSlow: 'Road slowed',
  terrain3d: '3-D',
  legend: 'Legend',
  layers: 'Map layers',
  futureNumber: 'Future',
  peak: 'Peak',
  peakWhy: 'worst at each place',
  play: 'Play',
  pause: 'Pause',
  moment: 'Moment of the forecast',
  here: 'At this place',
  hereAsk: 'Look at the middle of the map',
  arrival: 'Arrives',
  never: 'not in these futures',
  peopleHere: 'People in this cell',
  outside: 'This place lies outside the twin.',
  mapFailed: 'The map cannot be drawn on this machine (no WebGL). All lists and plans work without it.',

  plans: 'Plans',
  noPlans: 'No plans compared yet. They are run on every future as soon as a forecast is there.',
  recommended: 'Recommended',
  runnerUp: 'Runner-up',
  rank: (n: number) => `Rank ${n}`,
  sideBySide: 'Side by side',
  expectedHarm: 'Expected harm',
  harmMeans: (harmed: string) => `${capital(harmed)} although the plan was carried out: expected, and low to high over the futures.`,
  harmRange: 'Harm, low to high',
  cvar: 'Worst tenth (CVaR)',
  regretMean: 'Regret, mean',
  regretWorst: 'Regret, worst',
  damage: 'Damage',
  cost: 'Cost',
  finished: 'Finished after',
  failedShare: 'Fails in',
  bestShare: 'Best in',
  ofFutures: 'of futures',
  eachFuture: 'Harm in each future',
  doubt: 'Doubt',
  behind: 'behind',
  onAverage: 'on average',
  ninetySure: '90 % sure',
  price: 'Price',
  wouldFlip: 'Would flip',
  noFlip: 'Nothing that these futures show.',
  askFirst: 'Ask first',
  noAsk: (persons: string) => `No report that could be asked for would change the choice; knowing all would save ${persons}.`,
  whoBears: 'Who bears it',
  winsBy: 'Wins by',
  notKnown: 'Not known',
  breaks: (chance: string) => `Breaks a limit: ${chance}`,
  limitUnsure: (chance: string) => `Limit not sure: up to ${chance}`,
  hardLimits: 'Hard limits',
  limitsKept: 'kept',
  dominated: 'No better than',
  perThousand: (name: string) => `${name}, of 1,000`,
  gini: 'Inequality between zones, 0 to 1',
  triedIn: 'Tried in',
  does: 'What is done',
  role: 'Who',
  needs: 'Needs',
  afterWhat: 'After',
  when: 'If',
  duration: 'Duration',
  schedule: 'Earliest schedule',
  minutes: 'min',
  authority: 'Authority',
  basis: 'Rests on',
  digest: 'Digest',
  wakes: 'From level',
  approve: 'Approve…',
  reject: 'Reject…',
  approveThis: (plan: string) => `Approve “${plan}”`,
  rejectThis: (plan: string) => `Reject “${plan}”`,
  comment: 'Comment (goes into the record)',
  signWith: 'Your password, to sign with your own key',
  confirmApprove: (orders: number) => `I have read this plan and approve it. ${orders} ${orders === 1 ? 'order goes' : 'orders go'} out at once.`,
  confirmReject: 'I have read this plan and reject it.',
  signApprove: 'Sign and send orders',
  signReject: 'Sign the rejection',
  signing: 'Signing…',
  cancel: 'Cancel',
  decided: (verdict: string, plan: string, who: string) => `${verdict === 'approve' ? 'Approved' : 'Rejected'}: ${plan}, by ${who}`,
  signatureHolds: 'signature holds',
  signatureBroken: 'SIGNATURE DOES NOT HOLD',
  mayNotDecide: 'Only a commander may decide.',

  noLimits: 'no limit',
  setLimits: 'Set hard limits…',
  limitsWhy: 'What no plan may break in more than so many of the futures. The ranking follows at once; nothing is simulated anew.',
  figure: 'Figure',
  atZone: 'In zone',
  everywhere: 'everywhere',
  limitOp: 'Is',
  permitted: 'May be broken in, %',
  addLimit: 'Add',
  removeLimit: (limit: string) => `Take out: ${limit}`,
  reason: 'Reason (goes into the record)',
  setThem: 'Set these limits…',
  undoLimits: 'Undo the last change…',
  undoLimitsWarn: 'What held before the last change holds again; the ranking follows at once.',
  notSigned: 'not signed: from before limits were',
  setBy: (who: string, when: string) => `set by ${who}, ${when}`,
  mayNotLimit: 'Only a commander may set limits.',
  past: 'Before',

  ask: 'Ask…',
  askTitle: 'Ask the platform',
  askWhy: 'What if? Computed in the background and shown beside the assessment, never in its place.',
  scenarioText: 'Scenario (TOML)',
  onFutures: 'On',
  aScenario: 'this scenario',
  keptFutures: (name: string, n: number) => `futures “${name}” (${n})`,
  plansToCompare: 'Plans (none chosen: all)',
  compareThem: 'Compare',
  suggestThem: 'Look for plans',
  runAndKeep: 'Run and keep as',
  mayNotAsk: 'Only a planner may ask for computations.',
  jobs: 'What was asked',
  noJobs: 'Nothing was asked yet.',
  openComparison: 'Open the comparison',
  savePlan: 'Save into the library',
  removePlan: 'Take out of the library',
  savedBy: (who: string) => `library, by ${who}`,
  askedBy: (who: string) => `ASKED BY ${who.toUpperCase()}`,
  askedByWhy: 'Not the assessment: what somebody wanted to know.',
  showAssessment: 'Show the assessment',
  bestSoFar: (plan: string, tried: number, of: string) => `${plan} leads after ${tried} of ${of} futures`,

  carried: 'Carried out',
  noExecutions: 'No plan is being carried out. One begins when it is approved.',
  asksFor: (level: string, who: string) => `Level ${level} asks for the agreement of the ${who}`,
  agree: 'Agree…',
  refuse: 'Refuse…',
  agreeTo: (level: string, plan: string) => `Agree to level ${level} of “${plan}”`,
  refuseThis: (level: string, plan: string) => `Refuse level ${level} of “${plan}”`,
  endThis: (plan: string) => `End “${plan}”`,
  endPlan: 'End the plan…',
  endWarn: 'No order follows any more. Orders that are out stay out.',
  agreeWarn: 'The orders of this level go out at once, as far as nothing else holds them.',
  refuseWarn: 'The level stays out until its trigger has gone and come again.',
  signIt: 'Sign',
  mayNotAgree: (who: string) => `Only the ${who} may agree to it.`,
  waitsFor: 'waits for',
  waitsLevel: (level: string) => `waits for level ${level}`,
  waitsTrigger: 'waits until',
  waitsResources: 'waits for what it needs',
  notKnownNow: 'not known now',
  insteadOf: (name: string) => `only if “${name}” fails`,
  isOver: 'over',

  pictureOf: 'How it goes',
  pictureFuture: (n: number, harm: string, harmed: string) => `Future ${n + 1}: ${harm} ${harmed}`,
  pictureNone: 'The courses of this comparison are not kept any more; the earliest schedule stands in their place.',
  pictureMiddle: 'Middle future',
  skipped: 'not called for',

  compose: 'Compose a plan…',
  composeTitle: 'Compose a plan',
  composeWhy: 'Choose from all that may be done here. It is checked as you write; faults stand beside their fields.',
  planName: 'Name',
  summary: 'What it is for',
  chooseActions: 'All that may be done here',
  inThePlan: 'In the plan, in this order',
  addAction: (name: string) => `Add: ${name}`,
  takeOut: (name: string) => `Take out: ${name}`,
  earlier1: (name: string) => `Earlier: ${name}`,
  startFrom: 'Start from',
  nothingYet: 'an empty plan',
  triggerHint: 'e.g. level_m@lake >= 2 m for 30 min',
  resources: 'What there is',
  checkedOk: 'It can be carried out here.',
  checkedFaults: (n: number) => `${n} ${n === 1 ? 'fault' : 'faults'}`,
  asToml: 'As TOML',
  compareIt: 'Compare it now',
  fromLevel: 'From level',
  ownAction: '+ An action of our own',
  ownName: (n: number) => `our action ${n}`,
  moreOf: 'Who, how long, needs, effects…',
  actionName: 'Name',
  actionDo: 'Order, as the crew reads it',
  calledBy: 'Called by',
  byDecision: 'the decision',
  durationMin: 'Takes, min: least, usual, most',
  least: 'Least, min',
  usual: 'Usual, min',
  most: 'Most, min',
  shape: 'Spread',
  triangle: 'planned (triangle)',
  lognormal: 'measured (lognormal)',
  measuredAt: 'Where the times were measured',
  effects: 'Changes',
  effectVerb: 'What',
  effectAmount: 'Amount',
  addEffect: '+ effect',
  addNeed: '+ need',
  needsWhat: 'What',
  needsCount: 'How many',
  gradual: 'grows while it lasts',
  deadline: 'Fails unless begun within, min',
  repeats: 'At most so often',
  costOf: (currency: string) => `Cost, ${currency}`,
  cancelWhen: 'Cancelled when',
  cancelOnLeave: 'ends when its level is left',
  otherwiseDo: 'If it fails',
  nothingElse: 'nothing else',
  levelsOf: 'Levels',
  levelsWhy: 'A level is entered and left by its triggers; who holds its authority must agree each time, unless it is automatic.',
  addLevel: '+ level',
  levelName: 'Name',
  levelLevel: 'As grave as',
  levelEnter: 'Entered when',
  levelLeave: 'Left when',
  levelAuthority: 'Who agrees',
  levelAutomatic: 'by itself',
  levelApproval: 'Agreeing takes, min',
  takeOutRow: (what: string, n: number) => `Take out ${what} ${n}`,
  addResource: '+ resource',
  newResource: 'New resource',
  undoEdit: 'Undo',
  redoEdit: 'Redo',

  noOrders: 'No orders yet. They go out when a plan is approved.',
  due: 'due',
  overdue: 'OVERDUE',
  target: 'Target',
  sendsIn: (state: string, s: number) => `“${state}” will be sent in ${s} s`,
  undo: 'Undo',
  sendNow: 'Send now',
  why: 'Why (one line)',
  history: 'Reports',

  logLine: 'Line for the log',
  logSubject: 'Subject',
  write: 'Write',
  filter: 'Filter',
  noLog: 'Nothing in the log matches.',

  chain: 'How it came to this',
  chainWhy: 'Each step names the records that caused it, down to the readings.',
  chainLong: 'The chain is longer than what is shown here.',
  because: 'because of',
  proof: 'Proof',
  entries: 'entries',
  root: 'Root',
  verify: 'Verify the whole ledger',
  verifying: 'Verifying…',
  verified: 'verified',
  broken: 'DOES NOT HOLD',
  notChecked: 'not checked yet',
  checkedAt: 'checked',
  records: 'Latest records',
  number: 'No.',
  what: 'What',
  who: 'By',

  shortcuts: 'Keyboard shortcuts',
  help: 'Keyboard shortcuts (?)',
  larger: 'Larger',
  smaller: 'Smaller',
  noSuch: (what: string) => `There is no such ${what}, or it has not arrived yet.`,
  newWarning: (level: string, site: string, reason: string) => `New warning, ${level}, ${site}: ${reason}`,
}

export const SHORTCUTS: [string, string][] = [
  ['g', 'Warnings and gauges'],
  ['m', 'Map'],
  ['p', 'Risk and plans'],
  ['o', 'Orders'],
  ['l', 'Log: write a line'],
  ['1 2 3', 'Low, middle, high'],
  ['4', 'Chance of danger'],
  ['5', 'One future; [ and ] for the one before and after'],
  ['← →', 'Moment before, moment after'],
  ['k', 'Peak of all moments'],
  ['Space', 'Play or pause'],
  ['x', 'What may happen in the middle of the map'],
  ['t', '3-D terrain on or off'],
  ['Esc', 'Close what is open'],
  ['?', 'This list'],
]

/** What a record says, in one line. */
export function sentence(record: LedgerRecord): string {
  const f = (name: string): string => String(record[name] ?? '')
  switch (record.kind) {
    case 'warning':
      return `${LEVEL[(record.level as Level) ?? 0]}: ${f('reason')}`
    case 'evidence':
      return `${(record.value as unknown[]).length} readings of ${quantity(f('quantity')).toLowerCase()}`
    case 'sensorfault':
      return record.healed ? `healed: ${f('reason')}` : f('reason')
    case 'alertdraft':
      return `${f('message_type')}: ${f('headline')}`
    case 'forecast':
      return `${f('members')} futures by “${words(f('model')).toLowerCase()}”`
    case 'comparison':
      return f('reason')
    case 'decision':
      return `${f('verdict') === 'approve' ? 'approved' : 'rejected'} by ${f('signer')}${record.comment ? `: ${f('comment')}` : ''}`
    case 'order':
      return `${f('do')} (${f('role')})`
    case 'report':
      return `${f('state')}${record.text ? `: ${f('text')}` : ''}`
    case 'note':
      return f('text')
    case 'planevent':
      return `${f('plan')}: ${f('name')} ${f('what')}${record.reason ? `: ${f('reason')}` : ''}`
    case 'hardlimits':
      return `${(record.limits as string[]).map((limit) => limitWords(limit)).join('; ') || t.noLimits}${record.reason ? ` (${f('reason')})` : ''}`
    case 'libraryplan':
      return `“${f('plan')}” ${record.removed ? 'out of' : 'into'} the library`
    default:
      return words(record.kind)
  }
}

/** "2 crews, 40 sandbags" */
export const needs = (wanted: Record<string, number>): string =>
  Object.entries(wanted)
    .map(([what, n]) => `${number(n)} ${what.replaceAll('_', ' ')}`)
    .join(', ')

/** "0 to 610", without the unit: it stands beside. */
export const range = (low: number, high: number, unit: string): string => `${number(low, unit)} to ${number(high, unit)}`
export const planTitle = (name: string): string => words(name.replaceAll('-', ' '))

/** A limit as words: "people_in_danger@Ferry Quay <= 0" becomes "people in danger in Ferry Quay <= 0". */
export const limitWords = (limit: string, harmed = ''): string => (harmed ? limit.replace('people_in_danger', harmed) : limit).replace('@', ' in ').replaceAll('_', ' ')
