// One case: every contender in every round, in random order, so that whatever else the machine
// does falls on all of them alike. Only ratios within a round are compared.

import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Case } from './cases'
import { type Cost, clock } from './clock'
import type { Contender } from './contenders'

/** Long enough that the clock's start and end and one hiccup do not show. */
const BATCH_MS = 60
const MOST_ROUNDS = 200

export interface Measured {
  contender: Contender
  /** One batch of writes a round. */
  rounds: Cost[]
}

interface Entrant extends Measured {
  folder: string
  /** Bytes in new files that have not been removed yet. */
  kept: number
}

/** Removing files keeps a disk busy for a while after it, so it is done seldom, and for all at once. */
const MOST_KEPT = 512 << 20

/** Measures for about `seconds`, but `fewest` rounds at least, in folders below `folder`. */
export async function measure(
  what: Case,
  contenders: Contender[],
  folder: string,
  seconds: number,
  fewest: number,
): Promise<Measured[]> {
  const deadline = performance.now() + seconds * 1000
  const entrants = contenders.map(
    (contender, index): Entrant => ({ contender, rounds: [], folder: join(folder, String(index)), kept: 0 }),
  )
  try {
    let slowest = 0
    for (const entrant of entrants) {
      await mkdir(entrant.folder, { recursive: true })
      await warmUp(what, entrant)
      slowest = Math.max(slowest, (await batch(what, entrant, 1)).wall)
    }
    const writes = Math.max(1, Math.round(BATCH_MS / slowest))
    for (let round = 0; round < MOST_ROUNDS; round++) {
      if (round >= fewest && performance.now() > deadline) break
      for (const entrant of shuffled(entrants)) entrant.rounds.push(await batch(what, entrant, writes))
    }
    return entrants
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

let newFiles = 0

/** `writes` one after the other, in as many lanes as the case has writes in flight. */
async function batch(what: Case, entrant: Entrant, writes: number): Promise<Cost> {
  const { contender, folder } = entrant
  const name = (lane: number) => (what.fresh ? `new-${newFiles++}` : lane)
  const lanes = Array.from({ length: what.atOnce }, (_, lane) =>
    Array.from({ length: writes }, () => join(folder, `${name(lane)}.json`)),
  )
  const cost = await clock(() =>
    Promise.all(
      lanes.map(async (paths) => {
        for (const path of paths) await contender.write(path, what.data)
      }),
    ),
  )
  await settle(new Set(lanes.flat()))
  if (what.fresh) {
    entrant.kept += what.bytes * what.atOnce * writes
    if (entrant.kept > MOST_KEPT) await clear(entrant)
  }
  return cost
}

/** Who does not flush leaves that to whoever comes next: it is done here, off the clock. */
async function settle(paths: Set<string>): Promise<void> {
  for (const path of paths) {
    const file = await open(path, 'r+')
    await file.sync()
    await file.close()
  }
}

async function clear(entrant: Entrant): Promise<void> {
  await rm(entrant.folder, { recursive: true })
  await mkdir(entrant.folder)
  entrant.kept = 0
}

/** The first writes load code and make the files; one more shows that the contender does what it says. */
async function warmUp(what: Case, entrant: Entrant): Promise<void> {
  const { contender, folder } = entrant
  const start = performance.now()
  do await batch(what, entrant, 1)
  while (performance.now() - start < BATCH_MS)
  const strangers = (await readdir(folder)).filter((name) => !/^(new-)?\d+\.json$/.test(name))
  if (strangers.length > 0) throw new Error(`${contender.name} left files behind: ${strangers}`)
  const path = join(folder, 'check.json')
  await contender.write(path, what.data)
  if (!(await readFile(path)).equals(Buffer.from(what.data as string))) {
    throw new Error(`${contender.name} wrote something else (${what.title})`)
  }
  await rm(path)
}

/** By chance: in a fixed cycle everyone would always follow the same one, and inherit what it left to do. */
function shuffled<T>(entrants: T[]): T[] {
  return entrants
    .map((entrant) => ({ entrant, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ entrant }) => entrant)
}
