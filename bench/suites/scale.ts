// What grows: the index, its text, writes in flight, processes.

import { crowdSuite, inFlightSuite } from './scale-crowd'
import { scaleIndexSuite } from './scale-index'
import { stallSuite } from './stall'
import type { Suite } from './suite'

/** Each with its share of the time. Suites that measure in new processes take as long as they need. */
export const scaleSuites: [suite: Suite, share: number][] = [
  [scaleIndexSuite, 0],
  [stallSuite, 0],
  [inFlightSuite, 0.4],
  [crowdSuite, 0.3],
]
