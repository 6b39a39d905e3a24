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
