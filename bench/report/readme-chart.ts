// The chart of README.md: few bars and big letters.

import { casesOf } from './answers'
import { barPanels } from './bar-panels'
import { type Group, questions } from './questions'
import type { Results } from './results'

/** A panel each: a question of docs/benchmarks.md, and one of its cases. */
const panels = [
  { id: 'replace-one', wanted: /^1 KB$/, title: 'One file of 1 KB, replaced' },
  { id: 'pages', wanted: /^new, one folder$/, title: '1,000 new pages of 8 KB' },
  { id: 'update-many', wanted: /./, title: '1,000 updates of one JSON index at once' },
]
/** Few enough bars to be read at a glance. */
const leftOut = /^(fast-write-atomic|atomicWrite, all at once|fs.writeFile, one after the other)/

export function readmeChart(results: Record<Group, Results>): string {
  return barPanels({
    title: 'Time, as a multiple of ours',
    subtext: 'shorter is faster; each part has its own scale',
    fontSize: 19,
    ownScales: true,
    panels: panels.flatMap(({ id, wanted, title }) => {
      const question = questions.find((one) => one.id === id)
      const found = question && casesOf(question, results).find((one) => wanted.test(one.title))
      if (!found) return []
      return {
        title,
        bars: found.figures
          .filter(({ contender }) => !leftOut.test(contender.name))
          .map(({ contender, ratio }) => ({
            name: contender.name.replace(', all at once', ''),
            value: ratio.wall?.value ?? 1,
          })),
      }
    }),
  })
}
