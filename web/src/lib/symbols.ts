// Signs for the map, drawn on a canvas: no sprite sheet, no icon font, nothing fetched.
import { LEVEL_COLOUR, LEVEL_PATH } from './colours'
import type { Level } from './types'

const SIZE = 44 // PIXEL_RATIO times what is shown, for sharp screens
const GROUND = '#0c1116'

const ASSET_PATH: Record<string, string> = {
  hospitals: 'M8.2 4h3.6v4.2H16v3.6h-4.2V16H8.2v-4.2H4V8.2h4.2z',
  shelters: 'M10 3.5 17 10h-2v6h-3.5v-3.5h-3V16H5v-6H3z',
  schools: 'M10 4 18 8l-8 4-8-4zM5 11l5 2.5 5-2.5v3.2L10 16.6 5 14.2z',
  depots: 'M3.5 16V8L10 4.5 16.5 8v8h-2.3v-5.5H5.8V16z',
}
export const ASSET_KINDS = Object.keys(ASSET_PATH)

function draw(paint: (pen: CanvasRenderingContext2D) => void): ImageData {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = SIZE
  const pen = canvas.getContext('2d')
  if (!pen) throw new Error('this browser has no canvas')
  pen.scale(SIZE / 22, SIZE / 22)
  pen.translate(1, 1)
  paint(pen)
  return pen.getImageData(0, 0, SIZE, SIZE)
}

/** [name, image] of every sign. */
export function symbols(): [string, ImageData][] {
  const signs: [Level, boolean][] = [...([-1, 0, 1, 2, 3, 4] as Level[]).map((l): [Level, boolean] => [l, false]), ...([1, 2, 3, 4] as Level[]).map((l): [Level, boolean] => [l, true])]
  const levels = signs.map(([level, blind]): [string, ImageData] => [
    `level${level}${blind ? 'blind' : ''}`,
    draw((pen) => {
      const path = new Path2D(LEVEL_PATH[level])
      pen.lineJoin = 'round'
      pen.lineWidth = 2.6
      pen.strokeStyle = GROUND
      pen.stroke(path)
      pen.fillStyle = LEVEL_COLOUR[level]
      pen.fill(path)
      if (!blind) return
      const bar = new Path2D('M3 17 17 3') // crossed, as the ring of a blind gauge
      pen.lineCap = 'round'
      pen.lineWidth = 6
      pen.stroke(bar)
      pen.lineWidth = 2.6
      pen.strokeStyle = '#ffffff'
      pen.stroke(bar)
    }),
  ])
  const assets = ASSET_KINDS.map((kind): [string, ImageData] => [
    kind,
    draw((pen) => {
      pen.fillStyle = GROUND
      pen.strokeStyle = '#e8eef3'
      pen.lineWidth = 1.3
      pen.beginPath()
      pen.roundRect(0.8, 0.8, 18.4, 18.4, 4)
      pen.fill()
      pen.stroke()
      pen.fillStyle = '#e8eef3'
      pen.fill(new Path2D(ASSET_PATH[kind]))
    }),
  ])
  return [...levels, ...assets]
}

export const PIXEL_RATIO = 2
export const assetPath = (kind: string): string => ASSET_PATH[kind] ?? ''
