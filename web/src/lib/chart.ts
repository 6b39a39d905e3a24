// A gauge's readings as a chart: the trusted line, the doubtful points marked by shape, the limits as labelled lines.
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { LEVEL_COLOUR, LIMITS } from './colours'
import { number, unitName, utc } from './format'
import type { GaugeSeries } from './types'
import { FLAG, LEVEL } from './words'

const INK = '#aab8c4'
const FONT = '12px system-ui, sans-serif'

/** Draw `gauge` into `box` and keep its size; returns what ends it. */
export function chart(box: HTMLElement, gauge: GaugeSeries): () => void {
  const { time_ms, value, flag } = gauge.series
  const seconds = time_ms.map((ms) => ms / 1000)
  const trusted = value.map((v, i) => ((flag[i] ?? 2) <= 2 ? v : null))
  const doubted = value.map((v, i) => ((flag[i] ?? 2) > 2 ? v : null))
  const plot = new uPlot(
    {
      width: Math.max(120, box.clientWidth),
      height: Math.max(120, box.clientHeight),
      tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), 'UTC'),
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, low, high) => span(gauge, trusted, low, high) } },
      axes: [
        { stroke: INK, font: FONT, grid: { stroke: '#22303b', width: 1 }, ticks: { show: false }, values: (_, splits) => splits.map((s) => utc(s * 1000)) },
        { stroke: INK, font: FONT, grid: { stroke: '#22303b', width: 1 }, ticks: { show: false }, size: 52, values: (_, splits) => splits.map((v) => number(v, gauge.unit)) },
      ],
      series: [
        {},
        { label: unitName(gauge.unit), stroke: '#cfe4f2', width: 2, points: { show: false }, spanGaps: true },
        { label: FLAG[3], paths: () => null, points: { show: false } },
      ],
      hooks: { draw: [(u) => drawLimits(u, gauge), (u) => drawDoubted(u, seconds, doubted, flag)] },
    },
    [seconds, trusted, doubted],
    box,
  )
  const watch = new ResizeObserver(() => plot.setSize({ width: Math.max(120, box.clientWidth), height: Math.max(120, box.clientHeight) }))
  watch.observe(box)
  return () => {
    watch.disconnect()
    plot.destroy()
  }
}

/** The trusted readings fill the chart, with the next limit above them in sight; a mad reading does not squash the rest. */
function span(gauge: GaugeSeries, trusted: (number | null)[], low: number, high: number): [number, number] {
  const known = trusted.filter((v): v is number => v !== null)
  const bottom = known.length ? Math.min(...known) : low
  let top = known.length ? Math.max(...known) : high
  const next = LIMITS.map(([, name]) => gauge.limits?.[name] ?? -Infinity).find((limit) => limit > top)
  if (next !== undefined && next - top < 2.5 * Math.max(top - bottom, 0.2)) top = next
  const air = Math.max(top - bottom, 0.1) * 0.08
  return [bottom - air, top + air]
}

function drawLimits(u: uPlot, gauge: GaugeSeries): void {
  if (!gauge.limits) return
  const pen = u.ctx
  const { left, width, top, height } = u.bbox
  pen.save()
  pen.font = `${12 * devicePixelRatio}px system-ui, sans-serif`
  pen.textAlign = 'left'
  pen.textBaseline = 'bottom'
  let x = left
  let before = Infinity // labels of limits that lie close stand beside each other
  for (const [level, name] of LIMITS) {
    const limit = gauge.limits[name]
    const y = limit === undefined ? NaN : u.valToPos(limit, 'y', true)
    if (limit === undefined || y < top || y > top + height) continue
    pen.strokeStyle = pen.fillStyle = LEVEL_COLOUR[level]
    pen.lineWidth = 1.5 * devicePixelRatio
    pen.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio])
    pen.beginPath()
    pen.moveTo(left, y)
    pen.lineTo(left + width, y)
    pen.stroke()
    const words = `${LEVEL[level]} ${number(limit, gauge.unit)}`
    x = Math.abs(y - before) < 14 * devicePixelRatio ? x + pen.measureText(words).width + 16 * devicePixelRatio : left + 6 * devicePixelRatio
    before = y
    pen.fillText(words, x, y - 2 * devicePixelRatio)
  }
  pen.restore()
}

/** Suspect: a hollow triangle. Fail: a cross. What lies outside is drawn at the edge, so that it is not lost. */
function drawDoubted(u: uPlot, seconds: number[], doubted: (number | null)[], flag: number[]): void {
  const pen = u.ctx
  const r = 4.5 * devicePixelRatio
  const { top, height } = u.bbox
  pen.save()
  pen.lineWidth = 1.8 * devicePixelRatio
  doubted.forEach((v, i) => {
    if (v === null) return
    const x = u.valToPos(seconds[i] ?? 0, 'x', true)
    const y = Math.min(top + height - r, Math.max(top + r, u.valToPos(v, 'y', true)))
    pen.strokeStyle = LEVEL_COLOUR[flag[i] === 3 ? 2 : 3]
    pen.beginPath()
    if (flag[i] === 3) {
      pen.moveTo(x, y - r)
      pen.lineTo(x + r, y + r)
      pen.lineTo(x - r, y + r)
      pen.closePath()
    } else {
      pen.moveTo(x - r, y - r)
      pen.lineTo(x + r, y + r)
      pen.moveTo(x + r, y - r)
      pen.lineTo(x - r, y + r)
    }
    pen.stroke()
  })
  pen.restore()
}
