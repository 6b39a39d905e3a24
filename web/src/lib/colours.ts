// The colours that mean something. Each level also has a shape and a word, so that nobody depends on the colour.
import type { Level, LimitName } from './types'

export const LEVEL_COLOUR: Record<Level, string> = { [-1]: '#c3ccd4', 0: '#7f95a6', 1: '#62aeff', 2: '#ffdb4d', 3: '#ff9a3d', 4: '#ff5f5f' }

/** The limits of a gauge, from the lowest to the highest. */
export const LIMITS: readonly [Level, LimitName][] = [
  [1, 'blue'],
  [2, 'yellow'],
  [3, 'orange'],
  [4, 'red'],
]

/** The outlines of the level signs in a box of 20: circle, triangle, diamond, octagon; a ring is normal, a crossed ring is blind. */
export const LEVEL_PATH: Record<Level, string> = {
  [-1]: 'M10 2a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm0 2.4a5.6 5.6 0 0 1 3.3 1.1l-7.8 7.8A5.6 5.6 0 0 1 10 4.4zm0 11.2a5.6 5.6 0 0 1-3.3-1.1l7.8-7.8A5.6 5.6 0 0 1 10 15.6z',
  0: 'M10 4a6 6 0 1 0 0 12 6 6 0 0 0 0-12zm0 2.8a3.2 3.2 0 1 1 0 6.4 3.2 3.2 0 0 1 0-6.4z',
  1: 'M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15z',
  2: 'M10 1.5 19 17.5H1z',
  3: 'M10 1 19 10l-9 9-9-9z',
  4: 'M6.3 1h7.4L19 6.3v7.4L13.7 19H6.3L1 13.7V6.3z',
}

export interface Swatch {
  from: number
  colour: string
}

/** What the server paints (tocsin.interfaces.pictures); a test holds the two together. */
export const DEPTH_SWATCHES: Swatch[] = [
  { from: 0.1, colour: 'rgb(158 214 255)' },
  { from: 0.3, colour: 'rgb(92 170 245)' },
  { from: 0.5, colour: 'rgb(48 130 224)' },
  { from: 1, colour: 'rgb(28 88 190)' },
  { from: 2, colour: 'rgb(22 52 140)' },
  { from: 4, colour: 'rgb(40 18 96)' },
]
export const CHANCE_SWATCHES: Swatch[] = [
  { from: 0.05, colour: 'rgb(255 237 160)' },
  { from: 0.25, colour: 'rgb(254 190 90)' },
  { from: 0.5, colour: 'rgb(248 130 50)' },
  { from: 0.75, colour: 'rgb(220 60 40)' },
  { from: 0.95, colour: 'rgb(150 0 50)' },
]
