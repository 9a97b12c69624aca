// Documents that are published at once: each with its file and a record in each of three indexes of 1,000.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Child } from '../children/child'
import type { Question } from '../children/publishes'
import { formerPublisher, type Publisher, publishers, transactionPublisher } from '../contenders/publishers'
import type { Cost } from '../measure/clock'
import { type Entrant, measure } from '../measure/rounds'
import type { Context, Section } from './suite'

const DOCUMENTS = 1000

interface PublishCase {
  title: string
  processes: number
}

const cases: PublishCase[] = [
  { title: '1,000 at once', processes: 1 },
  { title: '1,000 at once, by 4 processes', processes: 4 },
]

export async function publishesSuite(context: Context): Promise<Section[]> {
  const section: Section = {
    id: 'publishes',
    title: 'Publishes',
    notes: [
      'examples/pipeline publishes a new version of each of 1,000 documents, all at once: a file of 3 KB, and a record in the',
      'content index, the topic index and the metrics. Cost of one publish. The former routine made five commits for it, those of',
      'an index together with others that waited; `N measured`: of the 1,000 documents it published only N a round.',
    ],
    cases: [],
  }
  for (const what of cases.filter(({ title }) => context.wanted(`${section.title}, ${title}`))) {
    const children = await Promise.all(
      Array.from({ length: what.processes }, () => Child.start('publishes.ts')),
    )
    try {
      const entrants: Entrant[] = []
      for (const publisher of publishers) entrants.push(await entrant(publisher, children, what, context))
      const seconds = context.effort.seconds / cases.length
      const measured = await measure(what.title, entrants, { ...context.effort, seconds })
      section.cases.push(measured)
      context.show({ ...measured, title: `${section.title}, ${measured.title}` })
    } finally {
      await Promise.all(children.map((child) => child.stop()))
    }
  }
  return section.cases.length > 0 ? [section] : []
}

async function entrant(
  publisher: Publisher,
  children: Child[],
  { processes, title }: PublishCase,
  context: Context,
): Promise<Entrant> {
  const folder = join(
    context.folder,
    `publishes-${processes}`,
    publisher === formerPublisher ? 'former' : 'now',
  )
  const ask = (child: Child, name: string, numbers: number[], version: number) =>
    child.ask<Cost>({ publisher: name, folder, numbers, version } satisfies Question)
  const share = (child: number, of: number) =>
    Array.from({ length: of / children.length }, (_, number) => number * children.length + child)
  const first = children[0]
  if (first) await ask(first, transactionPublisher.name, [...Array(DOCUMENTS).keys()], 0)

  const measured = publisher === formerPublisher && context.quick ? DOCUMENTS / 10 : DOCUMENTS
  let version = 0
  let published = DOCUMENTS
  const round = async (documents: number) => {
    version++
    const start = performance.now()
    const costs = await Promise.all(
      children.map((child, at) => ask(child, publisher.name, share(at, documents), version)),
    )
    const wall = performance.now() - start
    published += documents
    const { summary } = JSON.parse(await readFile(join(folder, '_system/publish-metrics.json'), 'utf8'))
    if (summary.totalSuccesses !== published)
      throw new Error(
        `${publisher.name} counted ${summary.totalSuccesses} of ${published} publishes (${title})`,
      )
    const jsThread = costs.reduce((sum, cost) => sum + cost.jsThread, 0)
    return { wall: wall / documents, jsThread: jsThread / documents }
  }
  // The first publishes of a process load code.
  await round(4 * children.length)
  return {
    contender: publisher,
    ...(measured === DOCUMENTS ? {} : { note: `${measured} measured` }),
    round: () => round(measured),
  }
}
