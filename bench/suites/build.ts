// The whole build of a site (examples/site): rendering and all, by each way of writing.

import { rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import writeFileAtomic from 'write-file-atomic'
import { copySources } from '../../examples/site/demo/corpus'
import { buildAtomically } from '../../examples/site/lib/atomic-build'
import { type BuildOptions, buildSite } from '../../examples/site/lib/build'
import { atomicOutput, type Output } from '../../examples/site/lib/output'
import { plainOutput } from '../../examples/site/lib/plain-output'
import { root } from '../../scripts/tools.mjs'
import { type Guarantees, guarantee } from '../contenders/guarantees'
import { clock } from '../measure/clock'
import { ratioOf } from '../measure/ratio'
import { type Case, type Entrant, measure } from '../measure/rounds'
import { settle } from '../measure/settle'
import { formatRatio } from '../report/table'
import type { Context, Fact, Section } from './suite'

interface Builder extends Guarantees {
  build(options: BuildOptions): Promise<unknown>
}

const by =
  (output: (folder: string) => Output): Builder['build'] =>
  (options) =>
    buildSite({ ...options, full: true, output: output(options.out) })

const unflushed: Builder = {
  ...guarantee('atomicWriteAll, flush: false', 'readBack'),
  build: by((folder) => atomicOutput(folder, { flush: false })),
}

const plain: Builder = { ...guarantee('fs.writeFile, 16 at a time'), build: by(plainOutput) }

/** The subject first. */
const builders: Builder[] = [
  {
    ...guarantee('atomicWriteAll', 'fsyncFile', 'fsyncDirectory', 'readBack'),
    build: by(atomicOutput),
  },
  unflushed,
  {
    ...guarantee('atomicDirectory, fs.writeFile in it', 'fsyncFile', 'fsyncDirectory'),
    build: buildAtomically,
  },
  { ...guarantee('write-file-atomic in a Promise.all', 'fsyncFile'), build: by(writeFileAtomicOutput) },
  plain,
]

/** Safe writes are to cost no more than unsafe ones, within the noise of the measurement. */
const AT_MOST = 1.1

export async function buildSuite(context: Context): Promise<Section[]> {
  const title = 'A whole build'
  if (!context.wanted(title)) return []
  const place = join(context.folder, 'build')
  const source = join(place, 'source')
  const pages = await copySources(join(root, 'node_modules'), source, context.quick ? 60 : 10_000)
  const entrants = builders.map((builder, index): Entrant => {
    let round = 0
    return {
      contender: builder,
      async round() {
        const out = join(place, String(index), String(round++))
        const cost = await clock(() =>
          builder.build({ source, out, url: 'https://example.org/', title: 'Bench' }),
        )
        settle(place)
        // The next contender finds the same disk.
        rmSync(out, { recursive: true })
        settle(place)
        return { wall: cost.wall / pages.length, jsThread: cost.jsThread / pages.length }
      },
    }
  })
  for (const entrant of entrants) await entrant.round()
  const measured = await measure(`${pages.length} pages`, entrants, context.effort)
  rmSync(place, { recursive: true })
  context.show({ ...measured, title: `${title}, ${measured.title}` })
  return [
    {
      id: 'build',
      title,
      notes: [
        'examples/site builds all Markdown of node_modules/ into a new folder: an HTML, a JSON and a text file a page,',
        'rendering included. Cost of one page with its three files.',
      ],
      cases: [measured],
      threads: true,
      facts: [loss(measured)],
    },
  ]
}

function loss({ title, figures }: Case): Fact {
  const walls = ({ name }: Guarantees) =>
    figures.find(({ contender }) => contender.name === name)?.rounds.map(({ wall }) => wall) ?? []
  const ratio = ratioOf(walls(unflushed), walls(plain))
  return {
    row: `A whole build of ${title}: ${unflushed.name}`,
    against: plain.name,
    target: `≤ ${AT_MOST}`,
    reached: formatRatio(ratio),
    share: AT_MOST / ratio.value,
    met: ratio.value <= AT_MOST,
  }
}

function writeFileAtomicOutput(folder: string): Output {
  const put = async (path: string, data: string | Buffer): Promise<void> => {
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true })
    await writeFileAtomic(target, data)
  }
  const update: Output['update'] = ({ path, value }) => put(path, JSON.stringify(value, null, 1))
  return {
    async recover() {},
    async writeAll(files) {
      const writes: Promise<void>[] = []
      for await (const { path, data } of files) writes.push(put(path, data))
      await Promise.all(writes)
      return { written: writes.length, unchanged: 0 }
    },
    async publish(files, json) {
      await Promise.all(files.map(({ path, data }) => put(path, data)))
      if (json) await update(json)
      return { written: files.length, unchanged: 0 }
    },
    update,
  }
}
