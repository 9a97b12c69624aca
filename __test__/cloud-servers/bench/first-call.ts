// What the first call of a process costs beyond a later one: a client is made, certificates are read, threads start.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { median } from '../../../bench/measure/ratio'
import type { Store } from '../servers/stores'

/** In milliseconds, from `first-call.mjs`. */
interface Figures {
  load: number
  first: number
  work: number
  later: number
}

/** Medians of so many processes. */
export async function firstCall(addon: string, store: Store, processes: number): Promise<Figures> {
  const seen: Figures[] = []
  for (let process_ = 0; process_ < processes; process_++) {
    const url = `${store.scheme}://${store.bucket}/none.json`
    const script = join(import.meta.dirname, 'first-call.mjs')
    const { stdout } = await promisify(execFile)(process.execPath, [script, addon, url, store.endpoint], {
      env: { PATH: process.env.PATH, ...store.env },
    })
    seen.push(JSON.parse(stdout))
  }
  const middle = (name: keyof Figures) => median(seen.map((figures) => figures[name]))
  return { load: middle('load'), first: middle('first'), work: middle('work'), later: middle('later') }
}
