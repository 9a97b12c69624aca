// The publisher of the pipeline with its content in a store: what it is in a content folder, however often it is killed, as its demo shows.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, onTestFinished, test } from 'vitest'
import type { StoreCheck } from '../../examples/pipeline/demo/check-store'
import { bundled } from '../helpers/bundle'
import { aDocument } from '../pipeline/support'
import { eachStore, type Room } from './helpers/stores'

const example = resolve(import.meta.dirname, '../../examples/pipeline')

const ENDPOINT = { s3: 'AWS_ENDPOINT_URL', az: 'AZURE_STORAGE_ENDPOINT', gs: 'GOOGLE_BASE_URL' }

/** Runs a program of the example in a process of its own. */
async function program(room: Room, content: string) {
  const [cli, checker] = [
    await bundled(join(example, 'cli.ts')),
    await bundled(join(example, 'demo/check-store.ts')),
  ]
  const folder = mkdtempSync(join(tmpdir(), 'pipeline-store-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { scheme, env, endpoint } = room.store
  const variables = { ...env, [ENDPOINT[scheme]]: endpoint, PIPELINE_CONTENT: content }
  const options = { env: { PATH: process.env.PATH, HOME: folder, ...variables } }
  const run = (args: string[]) => promisify(execFile)(process.execPath, args, options)
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
      return JSON.parse((await run([checker, 'end', ...folders])).stdout)
    },
  }
}

const azurite = inject('stores').find(({ name }) => name === 'Azurite')
const absent = azurite ? azurite.missing : 'this run is against another store'

test.skipIf(absent)(
  `the demo publishes on two machines, kills, starts again and finds everything (needs Azurite${absent ? `: ${absent}` : ''})`,
  async () => {
    const script = join(example, 'demo-cloud.ts')
    const args = ['--require', require.resolve('tsx/cjs'), script, '--limit', '60']
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
    expect(stderr).toBe('')
    expect(stdout.match(/killed with SIGKILL/g)?.length).toBeGreaterThanOrEqual(3)
    expect(stdout).toMatch(/^ *documents in some of the places, after the kills +0 +ok$/m)
    expect(stdout).toMatch(/Nothing lost, nothing torn, nothing left over/)
  },
)

eachStore((room) => {
  room.test('changes, conflicts, and what is there already', async () => {
    const { input, cli, check } = await program(room, room.url('site'))
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
