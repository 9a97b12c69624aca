// A contender in one case of writing: its folder, its batches, and what is done outside the measured time so that no
// contender pays for another one's work.

import { rmSync } from 'node:fs'
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Floor, type FloorKind, floorContenders } from '../contenders/floor'
import type { Guarantees } from '../contenders/guarantees'
import type { Data, Writer } from '../contenders/writers'
import { type Cost, clock } from '../measure/clock'
import type { Entrant } from '../measure/rounds'
import { MiB, type WriteCase } from './write-cases'

/** Long enough that starting and stopping the clock makes no difference. */
const BATCH_MS = 60

/** Removing files keeps a disk busy for a while afterwards, so it is done rarely, and for all files at once. */
const MOST_KEPT = 512 * MiB

/**
 * Small files stay until the bench is over, unless they add up to gigabytes. ext4 without a journal does not reuse an inode
 * within minutes after it was freed, and passes by each of those for every new file: after 20,000 removals that was a
 * third of the cost of a write.
 */
const MOST_SMALL = 4096 * MiB
export const isSmall = ({ bytes }: WriteCase) => bytes < MiB

export interface WriteEntrant extends Entrant {
  /**
   * Loads code, makes the files, and checks that the contender writes what it was given. Returns the milliseconds of a
   * batch with one write a lane.
   */
  prepare(): Promise<number>
  /** Sets how many writes a lane a round has: enough for the clock with the slowest contender. */
  fill(slowestMs: number): void
}

/** Warms all of them up, and gives them rounds long enough for the clock. */
export async function fillTogether(entrants: WriteEntrant[]): Promise<void> {
  let slowest = 0
  for (const entrant of entrants) {
    slowest = Math.max(slowest, await entrant.prepare())
  }
  for (const entrant of entrants) entrant.fill(slowest)
}

type Batch = (first: number, lanes: string[][]) => Promise<Cost>

export function writerEntrant(writer: Writer, what: WriteCase, data: Data, folder: string): WriteEntrant {
  return entrant(writer, what, data, folder, (_first, lanes) =>
    clock(() =>
      Promise.all(
        lanes.map(async (paths) => {
          for (const path of paths) await writer.write(path, data)
        }),
      ),
    ),
  )
}

/** The floor's, for data that it reads from a file of its own. */
export async function floorEntrants(
  floor: Floor,
  what: WriteCase,
  data: Data,
  folder: string,
): Promise<WriteEntrant[]> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'data')
  await writeFile(file, data)
  await floor.use(file)
  return floorContenders.map(({ kind, ...contender }) => {
    const place = `${folder}, ${kind}`
    return entrant(contender, what, data, place, batchOfFloor(floor, kind, what, place))
  })
}

function batchOfFloor(floor: Floor, kind: FloorKind, { fresh }: WriteCase, folder: string): Batch {
  return async (first, lanes) => {
    const writes = lanes[0]?.length ?? 0
    const cost = await floor.run(kind, { fresh, lanes: lanes.length, writes, first, folder })
    return { ...cost, jsThread: Number.NaN }
  }
}

function entrant(
  contender: Guarantees,
  what: WriteCase,
  data: Data,
  folder: string,
  run: Batch,
): WriteEntrant {
  let writes = 1
  let newFiles = 0
  let kept = 0

  const clear = async () => {
    // Thousands of files: a turn of the event loop for each would take longer than removing it.
    rmSync(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    kept = 0
  }
  const batch = async (): Promise<Cost> => {
    const first = newFiles
    const path = (lane: number) => join(folder, `${what.fresh ? `new-${newFiles++}` : lane}.json`)
    const lanes = Array.from({ length: what.atOnce }, (_, lane) =>
      Array.from({ length: writes }, () => path(lane)),
    )
    const cost = await run(first, lanes)
    await settle(new Set(lanes.flat()))
    if (what.fresh) kept += what.bytes * what.atOnce * writes
    if (kept > (isSmall(what) ? MOST_SMALL : MOST_KEPT)) await clear()
    return cost
  }
  const per = what.atOnce
  return {
    contender,
    async prepare() {
      await clear()
      const start = performance.now()
      let warm = 0
      do warm = (await batch()).wall
      while (performance.now() - start < BATCH_MS)
      await check(contender, what, data, folder)
      return warm
    },
    fill(slowestMs) {
      writes = Math.max(1, Math.round(BATCH_MS / slowestMs))
    },
    async round() {
      const { wall, jsThread, ...rest } = await batch()
      return { wall: wall / writes / per, jsThread: jsThread / writes / per, ...rest }
    },
  }
}

/** A contender that does not flush would leave that work to the next one: it is done here, outside the measured time. */
async function settle(paths: Set<string>): Promise<void> {
  for (const path of paths) {
    const file = await open(path, 'r+')
    await file.sync()
    await file.close()
  }
}

async function check({ name }: Guarantees, what: WriteCase, data: Data, folder: string): Promise<void> {
  const files = await readdir(folder)
  const others = files.filter((file) => !/^(new-)?\d+\.json$/.test(file))
  if (others.length > 0) throw new Error(`${name} left files behind: ${others}`)
  // A batch that exceeded the limit of what is kept was removed with its files.
  const [one] = files
  if (one && !(await readFile(join(folder, one))).equals(Buffer.from(data as string))) {
    throw new Error(`${name} wrote something else (${what.title})`)
  }
}
