// What it costs that calls can be observed: writes that nobody listens to, beside the addon's own function, which cannot be
// listened to, and beside writes that somebody listens to. Nothing is flushed or read back, or the disk would hide it.

import { tracingChannel } from 'node:diagnostics_channel'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { guarantee } from '../contenders/guarantees'
import { clock } from '../measure/clock'
import { type Entrant, measure } from '../measure/rounds'
import type { Context, Section } from './suite'

const WRITES = 200
const OPTIONS = { flush: false, verify: false } as const

type Write = typeof atomicWrite

/** The addon's function, of the module that `index.js` has loaded. */
function ofAddon(): Write {
  const path = Object.keys(require.cache).find((path) => path.endsWith('.node'))
  if (path === undefined) throw new Error('the addon is not loaded')
  return require(path).atomicWrite
}

export async function observeSuite(context: Context): Promise<Section[]> {
  const title = 'Seeing what happens'
  const row = '1 KB × 1, not flushed'
  if (!context.wanted(`${title}, ${row}`)) return []
  const folder = join(context.folder, 'observe')
  await mkdir(folder, { recursive: true })
  const { asyncEnd } = tracingChannel('@pipeline/atomic:write')
  const listener = () => {}
  const entrants = await Promise.all([
    entrant('atomicWrite, nobody listens', join(folder, 'unheard'), atomicWrite),
    entrant("the addon's function", join(folder, 'addon'), ofAddon()),
    entrant('atomicWrite, somebody listens', join(folder, 'heard'), atomicWrite, async (run) => {
      asyncEnd.subscribe(listener)
      await run()
      asyncEnd.unsubscribe(listener)
    }),
  ])
  const measured = await measure(row, entrants, context.effort)
  context.show({ ...measured, title: `${title}, ${row}` })
  await rm(folder, { recursive: true })
  const notes = [`A file of 1 KB, replaced ${WRITES} times a round, one after the other.`]
  return [{ id: 'observe', title, notes, cases: [measured], threads: true }]
}

/** `within`: what is to be so while it writes. */
async function entrant(
  name: string,
  path: string,
  write: Write,
  within: (run: () => Promise<void>) => Promise<void> = (run) => run(),
): Promise<Entrant> {
  const data = Buffer.alloc(1024, name)
  const run = async () => {
    for (let number = 0; number < WRITES; number++) await write(path, data, OPTIONS)
  }
  await run()
  return {
    contender: guarantee(name),
    async round() {
      const { wall, jsThread } = await clock(() => within(run))
      return { wall: wall / WRITES, jsThread: jsThread / WRITES }
    },
  }
}
