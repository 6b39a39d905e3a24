// Every view has a URL: `#/page/id/part?hazard=...&forecast=...&view=...&frame=...`. The query is what the map shows and stays while one moves about.

export type Page = 'situation' | 'warning' | 'gauge' | 'forecast' | 'plan' | 'comparison' | 'orders' | 'log' | 'record' | 'ledger' | 'sources' | 'limits' | 'ask' | 'carried' | 'compose' | 'appeals' | 'outcome'
export type View = 'q05' | 'q50' | 'q95' | 'chance' | `member:${number}`

export interface Route {
  page: Page
  id: string
  part: string
  hazard: string // '': the one that the console opens with
  forecast: string
  view: View | '' // '': as the forecast's hazard is best seen
  frame: number | 'peak'
}

const PAGES: readonly Page[] = ['situation', 'warning', 'gauge', 'forecast', 'plan', 'comparison', 'orders', 'log', 'record', 'ledger', 'sources', 'limits', 'ask', 'carried', 'compose', 'appeals', 'outcome']

/** Read a hash; what makes no sense falls back to the usual. */
export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?')
  const [page = '', id = '', part = ''] = path.split('/').map(unescape)
  const q = new URLSearchParams(query)
  const view = q.get('view') ?? ''
  const frame = q.get('frame') ?? ''
  const known = PAGES.find((p) => p === page) ?? 'situation'
  return {
    page: known,
    id,
    part,
    hazard: q.get('hazard') ?? '',
    forecast: known === 'forecast' ? id : (q.get('forecast') ?? ''),
    view: /^(q05|q50|q95|chance|member:\d+)$/.test(view) ? (view as View) : '',
    frame: /^\d+$/.test(frame) ? Number(frame) : 'peak',
  }
}

const unescape = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What the map shows: what was chosen, or what its hazard's pack says that it opens with. */
export const viewOf = (route: Route, forecast: { opens_with: 'q50' | 'chance' } | null | undefined): View => route.view || forecast?.opens_with || 'q50'

/** The hash of a route; the usual is left out. */
export function format(route: Route): string {
  const path = [route.page === 'situation' ? '' : route.page, route.id, route.part].filter((s) => s !== '').map(encodeURIComponent)
  const query: string[] = []
  if (route.hazard) query.push(`hazard=${encodeURIComponent(route.hazard)}`)
  if (route.forecast && route.page !== 'forecast') query.push(`forecast=${encodeURIComponent(route.forecast)}`)
  if (route.view) query.push(`view=${route.view}`)
  if (route.frame !== 'peak') query.push(`frame=${route.frame}`)
  return `#/${path.join('/')}${query.length ? '?' + query.join('&') : ''}`
}

class Router {
  now = $state<Route>(parse(location.hash))

  constructor() {
    addEventListener('hashchange', () => (this.now = parse(location.hash)))
  }

  /** The link to a page, with the map as it is now. */
  link(page: Page, id = '', part = ''): string {
    const forecast = page === 'forecast' ? id : this.now.forecast
    return format({ ...this.now, page, id, part, forecast })
  }

  go(page: Page, id = '', part = ''): void {
    location.hash = this.link(page, id, part)
  }

  /** Look at another hazard: its newest forecast, as it is best seen; what is open of the one before is closed. */
  look(hazard: string): void {
    const page = OF_A_HAZARD.includes(this.now.page) ? 'situation' : this.now.page
    const [id, part] = page === this.now.page ? [this.now.id, this.now.part] : ['', '']
    location.hash = format({ page, id, part, hazard, forecast: '', view: '', frame: 'peak' })
  }

  /** Change what the map shows. A step of the slider replaces the entry in the history, a new view adds one. */
  show(change: Partial<Pick<Route, 'hazard' | 'forecast' | 'view' | 'frame'>>, replace = false): void {
    const next = { ...this.now, ...change }
    if (next.page === 'forecast' && change.forecast !== undefined) next.id = change.forecast
    const hash = format(next)
    if (hash === format(this.now)) return
    if (replace) history.replaceState(null, '', hash)
    else history.pushState(null, '', hash)
    this.now = next
  }
}

/** Pages that are about one hazard. */
const OF_A_HAZARD: readonly Page[] = ['plan', 'comparison', 'forecast']

export const router = new Router()
