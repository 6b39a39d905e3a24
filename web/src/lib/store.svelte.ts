// What the console knows: the server's lists, kept fresh by its events, and how long ago there was contact.
import { api, ApiError, setCsrf } from './api'
import { listen } from './events'
import { router } from './route.svelte'
import type * as T from './types'
import { LEVEL, t } from './words'

const SETTLE_MS = 300 // events of one moment are fetched once
const RECORDS_KEPT = 500
export const UNDO_S = 5
const ASSESSED_FROM: T.Level = 2 // yellow: as the platform does by itself
const FINISHED: T.OrderState[] = ['done', 'failed', 'cancelled']

const KINDS_TO_LISTS: Record<string, List[]> = {
  warning: ['warnings', 'gauges'],
  sensorfault: ['gauges'],
  alertdraft: ['alerts', 'warnings'],
  forecast: ['forecasts'],
  verification: ['forecasts'],
  comparison: ['comparisons', 'plans'],
  decision: ['decisions', 'comparisons', 'orders', 'executions'],
  order: ['orders', 'executions'],
  report: ['orders', 'executions'],
  planevent: ['executions', 'orders'],
  hardlimits: ['limits', 'comparisons'],
  libraryplan: ['plans'],
}

export type List = 'limits' | 'jobs' | 'executions' | 'gauges' | 'warnings' | 'alerts' | 'forecasts' | 'comparisons' | 'plans' | 'decisions' | 'orders' | 'ledger' | 'records' | 'progress' | 'status'

const OF_LEDGER: List[] = ['ledger', 'records']

/** A report that waits so that a slip can be taken back. */
export interface PendingReport {
  state: T.OrderState
  text: string
  left_s: number
  timer: ReturnType<typeof setInterval>
}

class Console {
  status = $state.raw<T.Status | null>(null)
  session = $state.raw<T.Session | null>(null)
  started = $state(false)
  sessionEnded = $state(false)

  twin = $state.raw<T.Twin | null>(null)
  assets = $state.raw<Record<string, T.Assets>>({})
  gauges = $state.raw<T.Gauge[]>([])
  warnings = $state.raw<T.Warning[]>([])
  alerts = $state.raw<T.Alert[]>([])
  forecasts = $state.raw<T.Forecast[]>([])
  comparisons = $state.raw<T.Comparison[]>([])
  plans = $state.raw<T.Plan[]>([])
  decisions = $state.raw<T.Decision[]>([])
  orders = $state.raw<T.Order[]>([])
  limits = $state.raw<T.Limits | null>(null)
  jobs = $state.raw<T.Job[]>([])
  executions = $state.raw<T.Execution[]>([])
  ledger = $state.raw<T.Ledger | null>(null)
  records = $state.raw<T.Entry[]>([])
  progress = $state.raw<T.Progress | null>(null)
  private progressHeard = 0
  private jobsHeard = 0
  loaded = $state(false)

  contact = $state(true)
  lastContact = $state(new Date())
  trouble = $state('')
  announcement = $state('')
  pending = $state<Record<string, PendingReport>>({})
  private tick = $state(Date.now())
  private clock = $state.raw({ server_ms: Date.now(), here_ms: Date.now(), speed: 1 })

  /** The platform's time now: in a demo it runs faster than ours. */
  now = $derived(this.platformTime(this.tick))
  lostSince = $derived(this.platformTime(this.lastContact.getTime()))
  active = $derived(this.worstFirst(this.warnings))
  worst = $derived(Math.max(0, ...this.active.map((w) => w.level)) as T.Level)

  /** The hazard of the highest warning when the console was opened: a new one elsewhere is told on its tab and takes no map away from who looks at it. */
  private opened = $state('')
  /** The hazards that are watched, in the order in which they were named, and whether there is anything to choose. */
  hazards = $derived(this.status?.hazards.map((h) => h.hazard) ?? [])
  several = $derived(this.hazards.length > 1)
  /** Which hazard is looked at: that of the forecast that was chosen, the one that was chosen, or else the one that the console opened with. */
  hazard = $derived(this.forecasts.find((f) => f.id === router.now.forecast)?.hazard ?? (this.hazards.includes(router.now.hazard) ? router.now.hazard : this.opened || (this.hazards[0] ?? '')))
  forecastsHere = $derived(this.forecasts.filter((f) => f.hazard === this.hazard))
  plansHere = $derived(this.plansOf(this.hazard))
  forecast = $derived(this.forecastsHere.find((f) => f.id === router.now.forecast) ?? this.forecastsHere.find((f) => !f.asked_by) ?? this.forecastsHere[0] ?? null)
  comparison = $derived(this.comparisons.find((c) => c.forecast === this.forecast?.id) ?? null)
  overdue = $derived(this.orders.filter((o) => this.isOverdue(o)).length)

  runningPlans = $derived(this.executions.filter((e) => !e.over))
  proposals = $derived(this.runningPlans.reduce((n, e) => n + e.proposed.length, 0))

  private stopListening: (() => void) | null = null
  private waiting = new Set<List>()
  private running = new Set<List>()
  private seenWarnings: Set<string> | null = null

  private readonly fetchers: Record<List, () => Promise<void>> = {
    status: async () => this.takeStatus(await api.status()),
    gauges: async () => void (this.gauges = await api.gauges()),
    warnings: async () => this.takeWarnings(await api.warnings()),
    alerts: async () => void (this.alerts = await api.alerts()),
    forecasts: async () => void (this.forecasts = await api.forecasts()),
    comparisons: async () => void (this.comparisons = await api.comparisons()),
    plans: async () => void (this.plans = await api.plans()),
    decisions: async () => void (this.decisions = await api.decisions()),
    orders: async () => void (this.orders = await api.orders()),
    limits: async () => void (this.limits = await api.limits()),
    jobs: async () => {
      const heard = this.jobsHeard
      const jobs = await api.jobs()
      if (heard === this.jobsHeard) this.jobs = jobs
      else this.want('jobs') // an answer that an event has overtaken is old
    },
    executions: async () => void (this.executions = await api.executions()),
    ledger: async () => void (this.ledger = await api.ledger()),
    records: () => this.fetchRecords(),
    progress: async () => {
      const heard = this.progressHeard
      const progress = await api.progress()
      if (heard === this.progressHeard) this.progress = progress // an answer that an event has overtaken is old
    },
  }

  constructor() {
    setInterval(() => (this.tick = Date.now()), 1_000)
  }

  /** Find out who is there; try until the server answers. */
  async start(): Promise<void> {
    try {
      this.takeStatus(await api.status())
      if (this.status?.signed_in) this.enter(await api.session())
    } catch (fault) {
      if (!(fault instanceof ApiError)) throw fault
      if (fault.status === 0) setTimeout(() => void this.start(), 2_000)
    } finally {
      this.started = true
    }
  }

  async signIn(name: string, password: string): Promise<void> {
    this.enter(await api.signIn(name, password))
  }

  async signOut(): Promise<void> {
    await api.signOut()
    this.leave(false)
  }

  private enter(session: T.Session): void {
    this.session = session
    this.sessionEnded = false
    setCsrf(session.csrf)
    this.stopListening = listen({
      connected: () => void this.fetchAll(),
      alive: () => this.alive(),
      event: (kind, data) => this.hear(kind, data),
      lost: (signedOut) => (signedOut ? this.leave(true) : this.lose()),
    })
  }

  private leave(ended: boolean): void {
    this.stopListening?.()
    this.stopListening = null
    this.session = null
    this.sessionEnded = ended
    this.contact = true
    this.loaded = false
    this.records = []
    this.seenWarnings = null
    this.opened = ''
    setCsrf('')
  }

  private async fetchAll(): Promise<void> {
    if (!this.twin) await this.guard(() => this.fetchTwin())
    await Promise.all((Object.keys(this.fetchers) as List[]).map((list) => this.fetch(list)))
    this.loaded = true
  }

  private async fetchTwin(): Promise<void> {
    this.twin = await api.twin()
    const kinds = ['hospitals', 'shelters', 'schools', 'depots']
    const found = await Promise.all(kinds.map((kind) => api.assets(kind).catch(nothingThere)))
    this.assets = Object.fromEntries(kinds.map((kind, i) => [kind, found[i] ?? NO_ASSETS]))
  }

  private async fetchRecords(): Promise<void> {
    const last = this.records.at(-1)?.number
    const after = last ?? Math.max(0, (await api.ledger()).size - RECORDS_KEPT)
    const fresh = (await api.records(after, RECORDS_KEPT)).filter((e) => e.number > (this.records.at(-1)?.number ?? 0))
    if (fresh.length) this.records = [...this.records, ...fresh].slice(-RECORDS_KEPT)
  }

  /** Fetch a list now; while it is being fetched a second wish waits and is one more fetch. */
  async fetch(list: List): Promise<void> {
    if (OF_LEDGER.includes(list) && !this.may('read ledger')) return
    if (this.running.has(list)) return this.want(list)
    this.running.add(list)
    await this.guard(this.fetchers[list])
    this.running.delete(list)
  }

  private want(...lists: List[]): void {
    for (const list of lists) {
      if (this.waiting.has(list)) continue
      this.waiting.add(list)
      setTimeout(() => {
        this.waiting.delete(list)
        if (this.session) void this.fetch(list)
      }, SETTLE_MS)
    }
  }

  /** Run something that asks the server; what goes wrong is shown, not thrown. */
  private async guard(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.trouble = ''
    } catch (fault) {
      if (!(fault instanceof ApiError)) throw fault
      if (fault.status === 401) this.leave(true)
      else if (fault.status === 0) this.lose()
      else this.trouble = fault.message
    }
  }

  private alive(): void {
    this.lastContact = new Date()
    this.contact = true
  }

  private lose(): void {
    if (this.session) this.contact = false
  }

  private hear(kind: string, data: unknown): void {
    switch (kind) {
      case 'record':
        this.want(...(KINDS_TO_LISTS[(data as { kind: string }).kind] ?? []), 'records', 'ledger')
        break
      case 'readings':
        this.want('gauges')
        break
      case 'progress': {
        this.progressHeard++
        const progress = data as T.Progress | null
        this.progress = progress && progress.done < progress.total ? progress : null
        break
      }
      case 'job':
        this.takeJob(data as T.Job)
        break
      case 'clock':
        this.setClock((data as { time: string }).time)
        break
      case 'lost': // we read too slowly and the server dropped events
        void this.fetchAll()
        break
    }
  }

  private takeJob(job: T.Job): void {
    this.jobsHeard++
    const known = this.jobs.some((j) => j.id === job.id)
    this.jobs = known ? this.jobs.map((j) => (j.id === job.id ? job : j)) : [job, ...this.jobs]
  }

  private takeStatus(status: T.Status): void {
    this.status = status
    this.setClock(status.time, status.clock.speed)
  }

  private setClock(time: string, speed = this.clock.speed): void {
    this.clock = { server_ms: Date.parse(time), here_ms: Date.now(), speed }
  }

  private takeWarnings(warnings: T.Warning[]): void {
    const seen = this.seenWarnings
    const fresh = seen ? warnings.filter((w) => w.active && !seen.has(w.id)) : []
    if (fresh.length) this.announcement = fresh.map((w) => t.newWarning(LEVEL[w.level], this.siteName(w.site), w.reason)).join(' ')
    const worst = this.worstFirst(warnings).find((w) => this.hazards.includes(w.hazard))
    if (!this.opened && worst) this.opened = worst.hazard
    this.seenWarnings = new Set(warnings.map((w) => w.id))
    this.warnings = warnings
  }

  private worstFirst(warnings: T.Warning[]): T.Warning[] {
    return warnings.filter((w) => w.active).sort((a, b) => b.level - a.level || b.time.localeCompare(a.time))
  }

  /** How high a hazard warns now. */
  levelOf(hazard: string): T.Level {
    return this.active.find((w) => w.hazard === hazard)?.level ?? 0
  }

  /** Whether a hazard's newest assessment waits for a person to decide. */
  isOpen(hazard: string): boolean {
    const own = this.forecasts.find((f) => f.hazard === hazard && !f.asked_by)
    return this.comparisons.find((c) => c.forecast === own?.id)?.decision === null
  }

  /** Whether a hazard that warns has no forecast yet because another one is assessed: one is at a time. */
  waits(hazard: string): boolean {
    return this.progress !== null && this.progress.hazard !== hazard && this.levelOf(hazard) >= ASSESSED_FROM && !this.forecasts.some((f) => f.hazard === hazard && !f.asked_by)
  }

  /** The plans on the table of a hazard. */
  plansOf(hazard: string): T.Plan[] {
    return this.plans.filter((p) => p.hazard === hazard)
  }

  private platformTime(here_ms: number): number {
    return this.clock.server_ms + Math.max(0, here_ms - this.clock.here_ms) * this.clock.speed
  }

  /** Whether the server's gate would permit it; it decides again when it is asked to. */
  may(act: T.Act): boolean {
    return this.session?.may.includes(act) ?? false
  }

  /** Whether the person holds a role: some things ask for the very one. */
  holds(role: string): boolean {
    return this.session?.roles.includes(role) ?? false
  }

  isBlind(site: string): boolean {
    return this.gauges.some((g) => g.site === site && g.blind)
  }

  siteName(site: string): string {
    return this.gauges.find((g) => g.site === site)?.name ?? site
  }

  ageOf(time: string): number {
    return (this.now - Date.parse(time)) / 1000
  }

  /** An order is overdue as soon as its time has passed, also between two fetches. */
  isOverdue(order: T.Order): boolean {
    return order.overdue || (!FINISHED.includes(order.state) && this.now > Date.parse(order.due))
  }

  /** Report on an order after UNDO_S seconds, unless it is taken back. */
  report(order: string, state: T.OrderState, text: string): void {
    this.takeBack(order)
    const timer = setInterval(() => {
      const wish = this.pending[order]
      if (wish && --wish.left_s <= 0) void this.sendReport(order)
    }, 1_000)
    this.pending[order] = { state, text, left_s: UNDO_S, timer }
  }

  takeBack(order: string): void {
    clearInterval(this.pending[order]?.timer)
    delete this.pending[order]
  }

  async sendReport(order: string): Promise<void> {
    const wish = this.pending[order]
    if (!wish) return
    this.takeBack(order)
    await this.guard(async () => {
      await api.report(order, wish.state, wish.text)
      await this.fetch('orders')
    })
  }

  async note(subject: string, text: string): Promise<boolean> {
    let written = false
    await this.guard(async () => {
      await api.note(subject, text)
      written = true
      await this.fetch('records')
    })
    return written
  }
}

const NO_ASSETS: T.Assets = { type: 'FeatureCollection', features: [] }

function nothingThere(fault: unknown): T.Assets {
  if (fault instanceof ApiError && fault.status === 404) return NO_ASSETS
  throw fault
}

export const store = new Console()
