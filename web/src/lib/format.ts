// Numbers, times and ages as an operator reads them. Numbers are grouped by thousands; times are UTC unless said otherwise.

const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 })
const digits = (n: number): Intl.NumberFormat => new Intl.NumberFormat('en-GB', { minimumFractionDigits: n, maximumFractionDigits: n })
const one = digits(1)
const two = digits(2)
const three = new Intl.NumberFormat('en-GB', { maximumSignificantDigits: 3 })
const short = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })

const UNITS: Record<string, string> = { persons: '', '1': '', m: 'm', km: 'km' }
// What is measured has decimals; all else is counted.
const MEASURED = new Set(['m', 'km', 'm/h', 'mm', 'mm/h', 'm/s', 'm3/s', 'h', '%', 'deg', 'degC'])
// A share or an index, a concentration, a power: what counts is its first digits.
const SCALED = new Set(['1', 'ppm', 'mg/m3', 'ug/m3', 'MW', 'kW/m', 'kg/s'])

/** A number in its unit's usual precision, without the unit. */
export function number(value: number, unit = ''): string {
  if (!Number.isFinite(value)) return '–'
  if (Math.abs(value) >= 1e6) return short.format(value)
  if (SCALED.has(unit)) return three.format(value)
  if (value === 0 || !MEASURED.has(unit)) return value > 0 && value < 1 ? '<1' : whole.format(value)
  if (Math.abs(value) >= 1000) return whole.format(value)
  return unit === 'm' ? two.format(value) : one.format(value)
}

/** How strong a hazard is: as is usual in units that are measured here, else in three digits. */
export const intensity = (value: number, unit: string): string => (Number.isFinite(value) && !MEASURED.has(unit) ? three.format(value) : number(value, unit))

export const unitName = (unit: string): string => UNITS[unit] ?? unit

export const withUnit = (value: number, unit: string): string => [number(value, unit), unitName(unit)].filter(Boolean).join('\u202f')

export const percent = (share: number): string => (share > 0 && share < 0.005 ? '<1 %' : share < 1 && share > 0.995 ? '>99 %' : `${Math.round(share * 100)} %`)

const pad = (n: number): string => String(n).padStart(2, '0')

export function utc(time: string | number | Date, seconds = false): string {
  const t = new Date(time)
  return `${pad(t.getUTCHours())}:${pad(t.getUTCMinutes())}${seconds ? ':' + pad(t.getUTCSeconds()) : ''}`
}

export function local(time: string | number | Date, seconds = false): string {
  const t = new Date(time)
  return `${pad(t.getHours())}:${pad(t.getMinutes())}${seconds ? ':' + pad(t.getSeconds()) : ''}`
}

export const day = (time: string | number | Date): string => new Date(time).toISOString().slice(0, 10)

/** "2005-08-22 14:03 UTC (16:03 local)" */
export const moment = (time: string | number | Date): string => `${day(time)} ${utc(time)} UTC (${local(time)} local)`

/** "40 s", "12 min", "3 h 05" */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))}`
  return `${Math.floor(s / 86_400)} days`
}

/** "+03:30" after the start of a forecast. */
export const after = (seconds: number): string => `+${pad(Math.floor(seconds / 3600))}:${pad(Math.round((seconds % 3600) / 60))}`


export const briefId = (id: string): string => id.replace(/-([0-9a-f]{8})[0-9a-f]*$/, ' $1')

export const signed = (value: number, unit: string): string => (value > 0 ? '+' : value < 0 ? '−' : '±') + number(Math.abs(value), unit)

/** An attribute's or a metric's name as words. */
export const words = (name: string): string => {
  const text = name.replaceAll('_', ' ').trim()
  return text.charAt(0).toUpperCase() + text.slice(1)
}
