// The one way to the server: typed, with the session's CSRF token on everything that changes something.
import type * as T from './types'

export const ROOT = new URL('./api/v1/', document.baseURI).href
const PATIENCE_MS = 60_000

/** The server said no, or did not answer (`status` 0). `message` is for the operator to read. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
  ) {
    super(message)
  }
}

let csrf = ''
export const setCsrf = (token: string): void => void (csrf = token)

async function call<R>(method: string, path: string, body?: unknown): Promise<R> {
  let response: Response
  try {
    response = await fetch(ROOT + path, {
      method,
      credentials: 'same-origin',
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: {
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(method === 'GET' ? {} : { 'X-Tocsin-CSRF': csrf }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch (fault) {
    throw new ApiError(0, 'NoContact', fault instanceof Error ? fault.message : String(fault))
  }
  const answer: unknown = await response.json().catch(() => null)
  if (!response.ok) {
    const error = (answer as { error?: { kind?: string; message?: string } } | null)?.error
    throw new ApiError(response.status, error?.kind ?? 'Unavailable', error?.message ?? `${method} ${path}: HTTP ${response.status}`)
  }
  return answer as R
}

const get = <R>(path: string): Promise<R> => call<R>('GET', path)
const part = encodeURIComponent

export const api = {
  status: () => get<T.Status>('status'),
  session: () => get<T.Session>('session'),
  signIn: (name: string, password: string) => call<T.Session>('POST', 'session', { name, password }),
  signOut: () => call<unknown>('DELETE', 'session'),
  twin: () => get<T.Twin>('twin'),
  assets: (kind: string) => get<T.Assets>(`twin/assets/${part(kind)}`),
  gauges: () => get<T.Gauge[]>('gauges'),
  gauge: (site: string, hours: number) => get<T.GaugeSeries>(`gauges/${part(site)}?hours=${hours}`),
  warnings: () => get<T.Warning[]>('warnings'),
  alerts: () => get<T.Alert[]>('alerts'),
  release: (id: string) => call<{ id: string }>('POST', `alerts/${part(id)}/release`, {}),
  alertUrl: (id: string) => `${ROOT}alerts/${part(id)}.xml`,
  forecasts: () => get<T.Forecast[]>('forecasts'),
  depthUrl: (id: string, view: string, frame: string) => `${ROOT}forecasts/${part(id)}/depth.png?view=${view}&frame=${frame}`,
  here: (id: string, [lon, lat]: T.LonLat) => get<T.Here>(`forecasts/${part(id)}/at?lon=${lon}&lat=${lat}`),
  roadsCut: (id: string, view: string, frame: string) => get<T.RoadsCut>(`forecasts/${part(id)}/roads?view=${view}&frame=${frame}`),
  zoneRisks: (id: string) => get<T.ZoneRisk[]>(`forecasts/${part(id)}/zones`),
  chains: (id: string) => get<T.RiskChains>(`forecasts/${part(id)}/chains`),
  plans: () => get<T.Plan[]>('plans'),
  options: (hazard: string) => get<T.Options>(`plans/options?hazard=${part(hazard)}`),
  checkPlan: (plan: unknown) => call<T.Checked>('POST', 'plans/check', { plan }),
  savePlan: (plan: unknown) => call<{ plan: string; digest: string }>('POST', 'plans', { plan }),
  removePlan: (name: string) => call<unknown>('DELETE', `plans/${part(name)}`),
  course: (comparison: string, plan: string, future?: number) =>
    get<T.Course>(`comparisons/${part(comparison)}/courses/${part(plan)}${future === undefined ? '' : `?future=${future}`}`),
  limits: () => get<T.Limits>('limits'),
  setLimits: (limits: string[], reason: string, password: string) => call<{ id: string; comparison: string }>('POST', 'limits', { limits, reason, password }),
  undoLimits: (reason: string, password: string) => call<{ id: string; comparison: string }>('POST', 'limits/undo', { reason, password }),
  scenario: (hazard: string) => get<T.ScenarioStart>(`scenario?hazard=${part(hazard)}`),
  keptFutures: () => get<{ name: string; hazard: string; done: number; members: number }[]>('futures'),
  jobs: () => get<T.Job[]>('jobs'),
  startJob: (kind: T.Job['kind'], body: unknown) => call<T.Job>('POST', `jobs/${kind}`, body),
  cancelJob: (id: string) => call<T.Job>('POST', `jobs/${part(id)}/cancel`, {}),
  executions: () => get<T.Execution[]>('executions'),
  agree: (decision: string, level: string, agrees: boolean, reason: string, password: string) =>
    call<{ id: string }>('POST', `executions/${part(decision)}/levels/${part(level)}`, { agrees, reason, password }),
  endPlan: (decision: string, reason: string, password: string) => call<{ id: string }>('POST', `executions/${part(decision)}/end`, { reason, password }),
  comparisons: () => get<T.Comparison[]>('comparisons'),
  decide: (decision: { comparison: string; plan: string; plan_digest: string; verdict: T.Verdict; comment: string; password: string }) =>
    call<{ id: string; orders: string[] }>('POST', 'decisions', decision),
  decisions: () => get<T.Decision[]>('decisions'),
  orders: () => get<T.Order[]>('orders'),
  report: (order: string, state: T.OrderState, text: string) => call<{ id: string }>('POST', `orders/${part(order)}/reports`, { state, text }),
  note: (subject: string, text: string) => call<{ id: string }>('POST', 'notes', { subject, text }),
  records: (after: number, limit: number) => get<T.Entry[]>(`records?after=${after}&limit=${limit}`),
  chain: (id: string) => get<T.Chain>(`records/${part(id)}/chain`),
  ledger: () => get<T.Ledger>('ledger'),
  sources: () => get<T.Sources>('sources'),
  appeals: () => get<T.WaitingAppeal[]>('exposure/appeals'),
  ruleAppeal: (id: string, upheld: boolean, reason: string) => call<T.AppealRuling>('POST', `exposure/appeals/${part(id)}/ruling`, { upheld, reason }),
  ruling: (id: string) => get<{ ruling: T.AppealRuling | null }>(`exposure/appeals/${part(id)}/ruling`),
  verify: () => call<T.Verified>('POST', 'ledger/verify', {}),
  progress: () => get<T.Progress | null>('progress'),
}
