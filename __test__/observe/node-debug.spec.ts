// `NODE_DEBUG=pipeline-atomic`: a line for each call, on stderr.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { inProcess, type Remote } from '../helpers/processes'
import { test } from '../helpers/test'

describe('NODE_DEBUG=pipeline-atomic', () => {
  const calls = async (
    { atomicWrite, atomicWriteAll, atomicIndexUpdate, withIndexLock }: Remote,
    dir: string,
  ) => {
    await atomicWrite(`${dir}/a\nb`, 'x')
    await atomicWriteAll([{ path: `${dir}/c`, data: 'c' }])
    await atomicWrite(dir, 'x').catch(() => {})
    await withIndexLock([Buffer.from(`${dir}/j`), new URL(`file://${dir}/k`)], () => {})
    const isTrap = (name: string) => ({
      [name]() {
        throw new Error(name)
      },
    })
    const odd = new Proxy({}, isTrap('getPrototypeOf')) as never
    const thrown = Object.create(null, { code: { get: isTrap('code').code } })
    const fail = () => {
      throw thrown
    }
    return [
      await atomicWrite(odd, 'x').catch(String),
      await atomicIndexUpdate(`${dir}/i`, fail).catch((error) => error === thrown),
      await atomicIndexUpdate(`${dir}/i`, () => Promise.reject({ code: 'a\nb' })).catch(({ code }) => code),
    ]
  }

  test('prints one line a call, whatever its path; and nothing when it is not set', async ({ dir }) => {
    const logged = async (env: NodeJS.ProcessEnv) => {
      const child = inProcess(calls, [dir], { env })
      return [(await child.exit).stderr, await child.returned] as const
    }
    const [[lines, loud], [none, silent]] = await Promise.all([
      logged({ NODE_DEBUG: 'pipeline-atomic' }),
      logged({}),
    ])
    expect(none).toBe('')
    // It changes no error.
    expect(loud).toStrictEqual(silent)
    expect(silent).toStrictEqual([expect.stringContaining('"path"'), true, 'a\nb'])
    const shown = lines.trimEnd().split('\n')
    expect(shown).toHaveLength(7)
    const time = String.raw`\d+\.\d{3}`
    expect(shown[0]).toMatch(
      new RegExp(
        String.raw`^PIPELINE-ATOMIC \d+: atomicWrite '${dir}/a\\nb' ${time} ms \(resolve ${time}, .*directoryFsync ${time}\)$`,
      ),
    )
    expect(shown[1]).toMatch(new RegExp(`: atomicWriteAll ${time} ms \\(`))
    expect(shown[2]).toMatch(new RegExp(`: atomicWrite '${dir}' EISDIR ${time} ms \\(resolve ${time}\\)$`))
    expect(shown[3]).toContain(`: withIndexLock [ '${dir}/j', 'file://${dir}/k' ] `)
    expect(shown[4]).toMatch(new RegExp(`: atomicWrite \\(no path\\) ERR_INVALID_ARG_TYPE ${time} ms$`))
    for (const line of shown.slice(5)) {
      expect(line).toMatch(new RegExp(`: atomicIndexUpdate '${dir}/i' failed ${time} ms \\(`))
    }
    expect(readFileSync(join(dir, 'c'), 'utf8')).toBe('c')
  })
})
