// The publisher of the pipeline with its content in a store: what it is in a content folder, however often it is killed.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, onTestFinished } from 'vitest'
import type { StoreCheck } from '../../examples/pipeline/demo/check-store'
import { bundled } from '../helpers/bundle'
import { aDocument } from '../pipeline/support'
import { seeded } from './helpers/fault-proxy'
import { eachStore, type Room } from './helpers/stores'

const example = resolve(import.meta.dirname, '../../examples/pipeline')

const ENDPOINT = { s3: 'AWS_ENDPOINT_URL', az: 'AZURE_STORAGE_ENDPOINT', gs: 'GOOGLE_BASE_URL' }

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => aDocument({ slug: `post-${from + i}` }))

/** Runs a program of the example in a process of its own. */
async function program(room: Room, content: string, endpoint: string) {
  const [cli, checker] = [
    await bundled(join(example, 'cli.ts')),
    await bundled(join(example, 'demo/check-store.ts')),
  ]
  const folder = mkdtempSync(join(tmpdir(), 'pipeline-store-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { scheme, env } = room.store
  const options = (to: string) => ({
    env: { PATH: process.env.PATH, HOME: folder, ...env, [ENDPOINT[scheme]]: to, PIPELINE_CONTENT: content },
  })
  const run = (args: string[], to = endpoint) => promisify(execFile)(process.execPath, args, options(to))
  return {
    /** A folder with documents. */
    input(name: string, docs: unknown[]): string {
      const path = join(folder, name)
      mkdirSync(path)
      docs.forEach((doc, i) => void writeFileSync(join(path, `${i}.json`), JSON.stringify(doc)))
      return path
    },
    cli: (...args: string[]) => run([cli, ...args]),
    async check(...folders: string[]): Promise<StoreCheck> {
      return JSON.parse((await run([checker, 'end', ...folders], room.store.endpoint)).stdout)
    },
  }
}

eachStore((room) => {
  room.faultTest(
    'a publisher that is killed -9 again and again: all or nothing of each document, counted once',
    async () => {
      const random = seeded(13)
      await room.through({ seed: 13, latencyMs: [1, 10] }, async (proxy) => {
        const { input, cli, check } = await program(room, room.url('site'), proxy.endpoint)
        const [mine, others, both] = [numbered(0, 12), numbered(12, 18), numbered(18, 24)]
        const folders = [input('mine', mine), input('others', others), input('both', both)] as const
        const steady = cli('publish', folders[1], folders[2])
        for (let kills = 0; kills < 4; kills++) {
          const dying = cli('publish', '--jobs', '2', folders[0], folders[2])
          const isOver = dying.then(
            () => true,
            () => true,
          )
          const requests = proxy.counts.requests + 20 + Math.floor(random() * 40)
          while (proxy.counts.requests < requests && !(await Promise.race([isOver, sleep(1)])));
          dying.child.kill('SIGKILL')
          await isOver
          expect((await check(...folders)).faults).toEqual([])
        }
        await cli('publish', folders[0], folders[2])
        await steady
        const { published, faults, found } = await check(...folders)
        expect(faults).toEqual([])
        expect(published).toHaveLength(24)
        const right = { documents: 24, listed: 24, topics: 24, counted: 24, leftovers: 0, faults: [] }
        expect(found).toMatchObject(right)
      })
    },
  )

  room.test('changes, conflicts, and what is there already', async () => {
    const { input, cli, check } = await program(room, room.url('site'), room.store.endpoint)
    const first = input('first', [aDocument()])
    const second = input('second', [aDocument({ title: 'The second version' })])
    await cli('publish', first)
    expect((await cli('publish', first)).stdout).toMatch(/^unchanged +\/blog\/red-oak$/m)
    expect((await cli('publish', second)).stdout).toMatch(/^published +\/blog\/red-oak$/m)
    // The first version stays for those who are about to read it.
    expect((await check(second)).found).toMatchObject({ documents: 1, counted: 2, lost: 0, leftovers: 1 })

    const rival = cli('publish', input('rival', [aDocument({ id: 'another' })]))
    await expect(rival).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('SLUG_TOPICKEY_CONFLICT'),
    })
    expect((await check(second)).published).toEqual(['/blog/red-oak'])

    await expect(cli('recover-index')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('_system/indexes.json'),
    })
    expect(JSON.parse((await cli('metrics', '--json')).stdout).publishing.summary).toMatchObject({
      ...{ totalSuccesses: 2, totalFailures: 1 },
    })
  })
})
