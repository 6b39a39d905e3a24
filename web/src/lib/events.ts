// The server's event stream, read by hand: unlike EventSource this sees the heartbeat comments, so a silent line is noticed.
import { ROOT } from './api'

export interface Listener {
  /** The server listens for us from now on: what is fetched after this misses nothing. */
  connected(): void
  /** Bytes came: there is contact. */
  alive(): void
  event(kind: string, data: unknown): void
  /** No contact; `signedOut` where the server answered that nobody is signed in. */
  lost(signedOut: boolean): void
}

const SILENCE_MS = 25_000 // two heartbeats and a half
const RETRY_MS = [1_000, 2_000, 4_000, 8_000]

/** Listen until the returned function is called; reconnects by itself. */
export function listen(listener: Listener): () => void {
  const stop = new AbortController()
  void run(listener, stop.signal)
  return () => stop.abort()
}

async function run(listener: Listener, stop: AbortSignal): Promise<void> {
  for (let tries = 0; !stop.aborted; tries++) {
    const attempt = new AbortController()
    const abort = (): void => attempt.abort()
    stop.addEventListener('abort', abort, { once: true })
    let watchdog = setTimeout(abort, SILENCE_MS)
    let signedOut = false
    try {
      const response = await fetch(ROOT + 'events', { signal: attempt.signal, credentials: 'same-origin', headers: { Accept: 'text/event-stream' } })
      signedOut = response.status === 401
      if (!response.ok || !response.body) throw new Error(`events: HTTP ${response.status}`)
      const decode = new TextDecoder()
      let rest = ''
      let first = true // the server sends its first bytes when it has begun to listen, not with the headers
      for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read()
        if (done) break
        clearTimeout(watchdog)
        watchdog = setTimeout(abort, SILENCE_MS)
        tries = 0
        listener.alive()
        if (first) listener.connected()
        first = false
        rest += decode.decode(value, { stream: true }).replaceAll('\r\n', '\n')
        const blocks = rest.split('\n\n')
        rest = blocks.pop() ?? ''
        blocks.forEach((block) => tell(listener, block))
      }
    } catch {
      // every way to lose the stream ends here; it is told below and tried again
    } finally {
      clearTimeout(watchdog)
      stop.removeEventListener('abort', abort)
    }
    if (stop.aborted) return
    listener.lost(signedOut)
    if (signedOut) return
    await new Promise((go) => setTimeout(go, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]))
  }
}

function tell(listener: Listener, block: string): void {
  let kind = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) kind = line.slice(6).trim()
    else if (line.startsWith('data:')) data.push(line.slice(5).trimStart())
  }
  if (data.length) listener.event(kind, JSON.parse(data.join('\n')))
}
