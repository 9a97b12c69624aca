// Targets. Ours always runs with everything on: fsync of file and directory, read-back, and for an index the
// exclusion of other processes.

import { bareFloor } from './contenders/floor'
import { median, ratioOf } from './measure/ratio'
import type { Case, Figures } from './measure/rounds'
import { formatFigure, formatRatio } from './report/table'
import type { Fact, Section } from './suites/suite'

const charts = {
  same: 'Files, against fs/promises with the same guarantees',
  others: 'Files, against write-file-atomic and the former routine',
  floor: 'Files, against the engine called from Rust',
  thread: 'Time on the JavaScript thread, against the former routine',
  numbers: 'Updates that refuse numbers that JavaScript changes, against updates that do not look',
  many: 'Many files and updates at once',
  patches: 'Patches of an index, against functions of it',
  transactions: 'Four files that change together',
  publishes: 'Publishes, against the former routine with five commits',
}

interface Target {
  chart: keyof typeof charts
  sections: string[]
  cases: RegExp
  against: string
  of: 'wall' | 'jsThread'
  /** Times as long as ours. */
  atLeast: number
}

const files = ['new', 'replaced']

const targets: Target[] = [
  {
    chart: 'same',
    sections: files,
    cases: /^(1|64) KB × 1$/,
    against: 'fs/promises',
    of: 'wall',
    atLeast: 1.8,
  },
  {
    chart: 'same',
    sections: files,
    cases: /^(1|64) KB × (16|64)$/,
    against: 'fs/promises',
    of: 'wall',
    atLeast: 1.5,
  },
  {
    chart: 'others',
    sections: files,
    cases: /^(1|64) KB × (1|16)$/,
    against: 'write-file-atomic',
    of: 'wall',
    atLeast: 1.5,
  },
  {
    chart: 'same',
    sections: files,
    cases: /^(1|32) MB × (1|16)$/,
    against: 'fs/promises',
    of: 'wall',
    atLeast: 3,
  },
  {
    chart: 'others',
    sections: files,
    cases: /^32 MB × 1$/,
    against: 'former routine',
    of: 'wall',
    atLeast: 2,
  },
  {
    chart: 'floor',
    sections: files,
    cases: /^1 KB/,
    against: 'floor: engine from Rust',
    of: 'wall',
    atLeast: 0.5,
  },
  {
    chart: 'floor',
    sections: files,
    cases: /^64 KB/,
    against: 'floor: engine from Rust',
    of: 'wall',
    atLeast: 0.7,
  },
  {
    chart: 'floor',
    sections: files,
    cases: / MB/,
    against: 'floor: engine from Rust',
    of: 'wall',
    atLeast: 0.85,
  },
  {
    chart: 'thread',
    sections: [...files, 'strings'],
    cases: / KB/,
    against: 'former routine',
    of: 'jsThread',
    atLeast: 4,
  },
  {
    chart: 'thread',
    sections: [...files, 'strings'],
    cases: / MB/,
    against: 'former routine',
    of: 'jsThread',
    atLeast: 3,
  },
  {
    chart: 'many',
    sections: ['updates'],
    cases: /^1,000 at once/,
    against: 'former locked update',
    of: 'wall',
    atLeast: 100,
  },
  {
    chart: 'many',
    sections: ['updates'],
    cases: /^1,000 at once/,
    against: 'lowdb',
    of: 'wall',
    atLeast: 10,
  },
  {
    chart: 'many',
    sections: ['updates'],
    cases: /^100 one after the other/,
    against: 'former update, no lock',
    of: 'wall',
    atLeast: 1.5,
  },
  {
    // In memory and without fsync: at most a ninth slower than that.
    chart: 'many',
    sections: ['updates'],
    cases: /keep: 'value'$/,
    against: 'lowdb',
    of: 'wall',
    atLeast: 0.9,
  },
  {
    chart: 'patches',
    sections: ['patches'],
    cases: /^100 one after/,
    against: 'former update, no lock',
    of: 'wall',
    atLeast: 5,
  },
  {
    chart: 'patches',
    sections: ['patches'],
    cases: /^100 one after/,
    against: 'lowdb',
    of: 'wall',
    atLeast: 2,
  },
  {
    chart: 'patches',
    sections: ['patches'],
    cases: /^1,000 at once/,
    against: 'atomicIndexUpdate',
    of: 'wall',
    atLeast: 3,
  },
  {
    chart: 'patches',
    sections: ['patches'],
    cases: /^one of/,
    against: 'atomicIndexUpdate',
    of: 'wall',
    atLeast: 8,
  },
  {
    chart: 'patches',
    sections: ['patches'],
    cases: /^a look/,
    against: 'JSON.parse(await readFile(path))',
    of: 'wall',
    atLeast: 100,
  },
  {
    chart: 'patches',
    sections: ['patches'],
    cases: /^a first look/,
    against: 'JSON.parse(await readFile(path))',
    of: 'wall',
    atLeast: 5,
  },
  {
    // At most 3 % for the default.
    chart: 'numbers',
    sections: ['numbers'],
    cases: /./,
    against: "atomicIndexUpdate, numbers: 'lossy'",
    of: 'wall',
    atLeast: 0.97,
  },
  {
    chart: 'many',
    sections: ['processes'],
    cases: /^8 × 100 at once/,
    against: 'proper-lockfile + write-file-atomic',
    of: 'wall',
    atLeast: 20,
  },
  {
    chart: 'many',
    sections: ['flushes'],
    cases: /^1,000 files at once/,
    against: 'atomicWrite, one after the other',
    of: 'wall',
    atLeast: 6,
  },
  {
    chart: 'many',
    sections: ['flushes'],
    cases: /^1,000 lines at once/,
    against: 'appendLines, one after the other',
    of: 'wall',
    atLeast: 50,
  },
  {
    chart: 'many',
    sections: ['flushes'],
    cases: /^1,000 files in one go/,
    against: 'atomicWrite, one after the other',
    of: 'wall',
    atLeast: 15,
  },
  {
    chart: 'transactions',
    sections: ['transactions-slow'],
    cases: /^4 files in 2 directories$/,
    against: '4 × atomicWrite, one after the other',
    of: 'wall',
    atLeast: 2.2,
  },
  {
    chart: 'transactions',
    sections: ['transactions-slow'],
    cases: /^4 files in 2 directories$/,
    against: '4 × atomicWrite, at once',
    of: 'wall',
    atLeast: 0.9,
  },
  {
    // At most 3.5 times its time, for plain files that anything can read.
    chart: 'transactions',
    sections: ['transactions', 'transactions-slow'],
    cases: /^4 files in 2 directories$/,
    against: 'better-sqlite3',
    of: 'wall',
    atLeast: 0.29,
  },
  {
    chart: 'transactions',
    sections: ['transactions', 'transactions-slow'],
    cases: /at once$/,
    against: 'better-sqlite3',
    of: 'wall',
    atLeast: 2,
  },
  {
    chart: 'publishes',
    sections: ['publishes'],
    cases: /^1,000 at once$/,
    against: 'former publishDoc, five commits',
    of: 'wall',
    atLeast: 20,
  },
  {
    chart: 'publishes',
    sections: ['publishes'],
    cases: /by 4 processes$/,
    against: 'former publishDoc, five commits',
    of: 'wall',
    atLeast: 8,
  },
]

/** Every case that has a target, and the facts of the sections. */
export function reach(sections: Section[]): Fact[] {
  return [
    ...targets.flatMap((target) =>
      sections
        .filter(({ id }) => target.sections.includes(id))
        .flatMap((section) =>
          section.cases
            .filter(({ title }) => target.cases.test(title))
            .flatMap((measured) => hold(target, section, measured)),
        ),
    ),
    ...sections.flatMap(({ facts }) => facts ?? []),
  ]
}

function hold(
  { chart, against, of, atLeast }: Target,
  { title }: Section,
  { title: row, figures }: Case,
): Fact[] {
  const rival = figures.find(({ contender }) => contender.name === against)
  if (!rival) return []
  const ratio = ratioOf(
    rival.rounds.map((cost) => cost[of]),
    figures[0].rounds.map((cost) => cost[of]),
  )
  return [
    {
      row: `${title}, ${row}${of === 'jsThread' ? ', time on the JS thread' : ''}`,
      against,
      guarantees: rival.contender,
      target: `≥ ${atLeast}`,
      reached: formatRatio(ratio),
      ...possible(rival, figures, of),
      share: ratio.value / atLeast,
      // The figure as it is shown: 1.499 is shown as 1.50.
      met: Number(formatFigure(ratio.value)) >= atLeast,
      chart: charts[chart],
    },
  ]
}

/** What a program would reach that makes the system calls and does nothing else. */
function possible(rival: Figures, figures: Figures[], of: Target['of']): Pick<Fact, 'possible'> {
  const bare = figures.find(({ contender }) => contender.name === bareFloor)
  if (!bare || of !== 'wall' || rival.contender.name.startsWith('floor')) return {}
  const walls = ({ rounds }: Figures) => median(rounds.map(({ wall }) => wall))
  return { possible: formatFigure(walls(rival) / walls(bare)) }
}
