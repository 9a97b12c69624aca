// An index that is broken or missing is made good again: `recoverIndex`, `lock.recover`.

import {
  chmodSync,
  existsSync,
  linkSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { acquireIndexLock, atomicIndexUpdate, readIndex, recoverIndex, withIndexLock } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import * as z from 'zod'
import { leftovers, names, state } from '../helpers/files'
import { onPoorFs } from '../helpers/fuse'
import { readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { gate, rejection } from '../helpers/promises'
import { systemCalls } from '../helpers/system-calls'
import { test } from '../helpers/test'

const schema = z.object({ a: z.number() })
const read = (path: string) => readFileSync(path, 'utf8')
const aside = (dir: string) => names(dir).filter((name) => /\.corrupt-\d{8}T\d{6}Z(-\d+)?$/.test(name))

const BACKUP = '{\r\n\t"a": 1\r\n}\r\n'

const broken: [string, string, string][] = [
  ['cut', '{"a": ', 'ERR_ATOMIC_CORRUPT_INDEX'],
  ['empty', '', 'ERR_ATOMIC_CORRUPT_INDEX'],
  ['all NUL', '\0\0\0\0', 'ERR_ATOMIC_CORRUPT_INDEX'],
  ['not one that passes the schema', '{"a":"x"}', 'ERR_ATOMIC_SCHEMA'],
]

test.for(broken)(
  'an index that is %s: its backup is put back, byte for byte',
  async ([, text, code], { dir, file }) => {
    writeFileSync(file, text)
    writeFileSync(`${file}.backup`, BACKUP)
    const { ino } = statSync(file)
    const recovered = await recoverIndex(file, { schema })
    expect(recovered).toMatchObject({
      action: 'restored',
      value: { a: 1 },
      source: `${file}.backup`,
      corrupt: { code, path: file },
    })
    expect(read(file)).toBe(BACKUP)
    const [name = ''] = aside(dir)
    expect(recovered.setAside).toBe(join(dir, name))
    expect(read(join(dir, name))).toBe(text)
    expect(statSync(join(dir, name)).ino).toBe(ino)
    expect(names(dir)).toEqual(['index.json', 'index.json.backup', name])
    expect(await recoverIndex(file, { schema })).toEqual({ action: 'none', value: { a: 1 } })
  },
)

test('one that is missing: its backup is put back, with its mode', async ({ dir, file }) => {
  writeJson(`${file}.backup`, { a: 1 })
  chmodSync(`${file}.backup`, 0o640)
  const { setAside, corrupt, ...rest } = await recoverIndex(file, {
    rebuild: () => ({ a: 2 }),
    initial: { a: 3 },
  })
  expect(rest).toEqual({ action: 'restored', value: { a: 1 }, source: `${file}.backup` })
  expect([setAside, corrupt]).toEqual([undefined, undefined])
  expect(statSync(file).mode & 0o777).toBe(0o640)
  expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
})

test('the newest good backup is taken', async ({ file }) => {
  writeFileSync(file, '{')
  writeFileSync(`${file}.backup`, '')
  writeJson(`${file}.backup.1`, { a: 'x' })
  writeJson(`${file}.backup.2`, { a: 2 })
  writeJson(`${file}.backup.3`, { a: 3 })
  expect(await recoverIndex(file, { schema })).toMatchObject({ value: { a: 2 }, source: `${file}.backup.2` })
  expect(readJson(file)).toEqual({ a: 2 })
})

test('a good one is left as it is', async ({ dir, file }) => {
  writeJson(file, { a: 1 })
  writeJson(`${file}.backup`, { a: 0 })
  const before = state(file)
  const rebuild = () => expect.fail('called')
  expect(await recoverIndex(file, { schema, rebuild, initial: { a: 2 } })).toEqual({
    action: 'none',
    value: { a: 1 },
  })
  expect(state(file)).toEqual(before)
  expect(names(dir)).toEqual(['index.json', 'index.json.backup'])
})

test('without a good backup: what rebuild makes, else initial', async ({ dir, file }) => {
  writeFileSync(file, '{')
  writeFileSync(`${file}.backup`, '{')
  const told: unknown[] = []
  const rebuild = async (corrupt: unknown) => {
    told.push(corrupt)
    return { a: 2 }
  }
  const rebuilt = await recoverIndex(file, { schema, rebuild, initial: { a: 3 } })
  expect(rebuilt).toMatchObject({ action: 'rebuilt', value: { a: 2 }, source: undefined })
  expect(told).toEqual([rebuilt.corrupt])
  expect(read(file)).toBe('{\n  "a": 2\n}')
  rmSync(file)
  expect(await recoverIndex(file, { schema, rebuild })).toMatchObject({
    action: 'rebuilt',
    corrupt: undefined,
  })
  expect(told[1]).toBe(undefined)
  writeFileSync(file, '[')
  expect(await recoverIndex(file, { initial: { a: 3 } })).toMatchObject({
    action: 'initialized',
    value: { a: 3 },
  })
  expect(readJson(file)).toEqual({ a: 3 })
  expect(
    aside(dir)
      .map((name) => read(join(dir, name)))
      .sort(),
  ).toEqual(['[', '{'])
})

describe('it rejects, and nothing is changed:', () => {
  const unchanged = async (dir: string, file: string, recovery: () => Promise<unknown>) => {
    const before = [state(file), names(dir)]
    const reason = await rejection(recovery())
    expect([state(file), names(dir)]).toEqual(before)
    return reason
  }

  test('nothing to put in its place', async ({ dir, file }) => {
    writeFileSync(file, '[1,')
    expect(await unchanged(dir, file, () => recoverIndex(file))).toMatchObject({
      code: 'ERR_ATOMIC_CORRUPT_INDEX',
      path: file,
      offset: 2,
    })
    writeJson(file, { a: 'x' })
    expect(await unchanged(dir, file, () => recoverIndex(file, { schema }))).toMatchObject({
      code: 'ERR_ATOMIC_SCHEMA',
    })
    rmSync(file)
    expect(await rejection(recoverIndex(file))).toMatchObject({ code: 'ENOENT', path: file })
    expect(names(dir)).toEqual([])
  })

  test('rebuild fails, or returns no index', async ({ dir, file }) => {
    writeFileSync(file, '[1,')
    const reason = new Error('no')
    const failing = () => Promise.reject(reason)
    expect(await unchanged(dir, file, () => recoverIndex(file, { rebuild: failing, initial: [] }))).toBe(
      reason,
    )
    const answers = [
      [undefined, 'ERR_INVALID_RETURN_VALUE'] as const,
      [{ a: 'x' }, 'ERR_ATOMIC_SCHEMA'] as const,
    ]
    for (const [answer, code] of answers) {
      const rebuild = () => answer as never
      expect(await unchanged(dir, file, () => recoverIndex(file, { schema, rebuild }))).toMatchObject({
        code,
      })
    }
    const loop: object[] = []
    loop.push(loop)
    expect(await unchanged(dir, file, () => recoverIndex(file, { rebuild: () => loop }))).toMatchObject({
      code: 'ERR_INVALID_RETURN_VALUE',
    })
  })

  test('what is refused is not broken', async ({ dir, file }) => {
    writeFileSync(file, '[12345678901234567890]')
    writeJson(`${file}.backup`, [])
    expect(await unchanged(dir, file, () => recoverIndex(file))).toMatchObject({
      code: 'ERR_ATOMIC_LOSSY_INDEX',
    })
  })

  test('a wrong argument, an object in a store', async ({ dir, file }) => {
    writeFileSync(file, '[')
    const wrong = { rebuild: 1, initial: 2, timeout: 'x', schema: {} }
    for (const [name, value] of Object.entries(wrong)) {
      const reason = await unchanged(dir, file, () => recoverIndex(file, { [name]: value as never }))
      expect(reason.code).toBe('ERR_INVALID_ARG_TYPE')
    }
    expect(await rejection(recoverIndex('s3://b/index.json'))).toMatchObject({
      code: 'ERR_ATOMIC_UNSUPPORTED',
    })
  })
})

test('migrate mends an index, and a backup', async ({ dir, file }) => {
  writeJson(file, { b: 1 })
  const migrate = ({ b }: { b: number }) => ({ a: b })
  expect(await recoverIndex(file, { schema, migrate })).toEqual({ action: 'none', value: { a: 1 } })
  expect(readJson(file)).toEqual({ b: 1 })
  writeFileSync(`${file}.backup`, read(file))
  writeFileSync(file, '')
  expect(await recoverIndex(file, { schema, migrate })).toMatchObject({ action: 'restored', value: { a: 1 } })
  expect(readJson(file)).toEqual({ a: 1 })
  expect(aside(dir)).toHaveLength(1)
})

test('calls for the index inside rebuild are refused, and later ones wait', async ({ file }) => {
  const inside: unknown[] = []
  const begun = gate()
  const goOn = gate()
  const rebuild = async () => {
    begun.open()
    await goOn.opened
    const reason = await rejection(atomicIndexUpdate(file, (index) => index))
    inside.push(reason.code)
    return { n: 1 }
  }
  const recovery = recoverIndex(file, { rebuild })
  await begun.opened
  const update = atomicIndexUpdate(file, ({ n }) => ({ n: n + 1 }))
  goOn.open()
  expect((await recovery).value).toEqual({ n: 1 })
  await update
  expect(inside).toEqual(['ERR_ATOMIC_REENTRANT'])
  expect(readJson(file)).toEqual({ n: 2 })
})

describe('lock.recover', () => {
  test('is one of the calls on the lock', async ({ dir, file }) => {
    writeFileSync(file, '{')
    await withIndexLock(file, async (lock) => {
      const rebuild = async () => {
        const reason = await rejection(lock.update((index) => index))
        return { code: reason.code, n: 1 }
      }
      const recovery = lock.recover({ rebuild })
      const update = lock.update((index) => ({ ...index, n: index.n + 1 }))
      expect(await recovery).toMatchObject({ action: 'rebuilt' })
      await update
      expect(await lock.recover()).toEqual({ action: 'none', value: { code: 'ERR_ATOMIC_REENTRANT', n: 2 } })
    })
    expect(aside(dir)).toHaveLength(1)
  })

  test('gives the index on when it has failed', async ({ file }) => {
    writeFileSync(file, '{')
    const lock = await acquireIndexLock(file)
    expect(await rejection(lock.recover())).toMatchObject({ code: 'ERR_ATOMIC_CORRUPT_INDEX' })
    await lock.write({ a: 1 }, { timeout: 0 })
    await lock.release()
    expect(await rejection(lock.recover())).toMatchObject({ code: 'ERR_INVALID_STATE' })
  })
})

describe('many processes that find it broken', () => {
  const contend = async ({ atomicIndexUpdate, recoverIndex }: Remote, file: string, id: number) => {
    const rebuild = () => ({ rebuilt: process.pid })
    const { action } = await recoverIndex(file, { rebuild, flush: false })
    for (let i = 0; i < 5; i++) {
      await atomicIndexUpdate(file, (index: any) => ({ ...index, [`${id}-${i}`]: true }), { flush: false })
      if ((await recoverIndex(file, { rebuild, flush: false })).action !== 'none') return 'again'
    }
    return action
  }
  const backups: [string, (file: string) => void, string][] = [
    ['good', (file) => writeJson(file, { restored: true }), 'restored'],
    ['broken', (file) => writeFileSync(file, '{'), 'rebuilt'],
    ['missing', () => {}, 'rebuilt'],
  ]
  for (const [how, make, action] of backups) {
    test(`with a ${how} backup: one recovers it, and no update is lost`, async ({ dir, file }) => {
      writeFileSync(file, '{"torn":')
      make(`${file}.backup`)
      const ids = Array.from({ length: 8 }, (_, id) => id)
      const children = ids.map((id) => inProcess(contend, [file, id]).returned)
      let over = false
      const looking = (async () => {
        for (; !over; await new Promise(setImmediate)) expect(existsSync(file)).toBe(true)
      })()
      const actions = await Promise.all(children)
      over = true
      await looking
      expect(actions.sort()).toEqual([...Array(7).fill('none'), action])
      const { [action]: made, ...updates } = readJson(file)
      expect(made).toBeTruthy()
      expect(Object.keys(updates)).toHaveLength(40)
      expect(aside(dir)).toHaveLength(1)
      expect(read(join(dir, aside(dir)[0] ?? ''))).toBe('{"torn":')
      expect(leftovers(dir)).toEqual([])
    })
  }

  test('one that is missing is made once', async ({ dir, file }) => {
    const make = async ({ recoverIndex }: Remote, file: string) =>
      (await recoverIndex(file, { initial: { n: 0 } })).action
    const actions = await Promise.all([1, 2, 3, 4].map(() => inProcess(make, [file]).returned))
    expect(actions.sort()).toEqual(['initialized', 'none', 'none', 'none'])
    expect(names(dir)).toEqual(['index.json'])
  })
})

describe('a kill', () => {
  const traced = needs('strace that may attach')
  const calls = ['linkat', 'fsync', 'renameat', 'renameat2', 'unlinkat']

  traced(
    'at any of its steps leaves the broken index or the good one, and the next call goes on',
    async ({ dir }) => {
      const recover = ({ recoverIndex }: Remote, file: string) => recoverIndex(file)
      const prepare = (name: string) => {
        const file = join(dir, name)
        writeFileSync(file, '{')
        writeJson(`${file}.backup`, { a: 1 })
        return file
      }
      const whole = await systemCalls(recover, [prepare('dry')], { trace: calls })
      const nth = new Map<string, number>()
      const points = whole.calls
        .filter(({ args }) => args.includes(dir))
        .map(({ name }) => {
          nth.set(name, (nth.get(name) ?? 0) + 1)
          return [name, nth.get(name) ?? 0] as const
        })
      expect(points.length).toBeGreaterThan(4)
      const states = await Promise.all(
        points.map(async ([call, when]) => {
          const file = prepare(`${call}-${when}`)
          const killing = `inject=${call}:signal=SIGKILL:when=${when}`
          const before = `set -- strace -f -qq -o /dev/null -e trace=${call} -e ${killing} "$@"`
          const child = inProcess(recover, [file], { before })
          await child.exit
          const left = read(file)
          expect(left === '{' || left === '{"a":1}').toBe(true)
          expect((await recoverIndex(file)).value).toEqual({ a: 1 })
          expect(aside(dir).filter((name) => name.startsWith(`${call}-${when}.`))).toHaveLength(1)
          return left
        }),
      )
      expect(new Set(states)).toEqual(new Set(['{', '{"a":1}']))
    },
  )
})

describe('where something is missing', () => {
  needs('root that may mount FUSE')('links: what is broken is copied', ({ dir }) =>
    onPoorFs(dir, { refuse: { link: 'EPERM' } }, async (at, folder) => {
      writeFileSync(join(folder, 'i'), '{')
      chmodSync(join(folder, 'i'), 0o640)
      writeJson(join(folder, 'i.backup'), { a: 1 })
      const { action, setAside = '' } = await recoverIndex(join(at, 'i'), { network: 'allow' })
      expect(action).toBe('restored')
      expect(read(setAside)).toBe('{')
      expect(statSync(setAside).mode & 0o777).toBe(0o640)
      expect(readJson(join(folder, 'i'))).toEqual({ a: 1 })
    }),
  )

  needs('strace that may attach')('a disk that cannot read the index', async ({ dir, file }) => {
    writeJson(file, { a: 0 })
    writeJson(`${file}.backup`, { a: 1 })
    const { returned } = await systemCalls(({ recoverIndex }, file) => recoverIndex(file), [file], {
      trace: ['read'],
      paths: [file],
      inject: ['read:error=EIO'],
    })
    expect(returned).toMatchObject({ action: 'restored', corrupt: { code: 'EIO', syscall: 'read' } })
    expect(readJson(file)).toEqual({ a: 1 })
    expect(aside(dir).map((name) => readJson(join(dir, name)))).toEqual([{ a: 0 }])
  })
})

test('a link on the path: the file that it leads to is recovered', async ({ dir, file }) => {
  const target = join(dir, 'target')
  writeFileSync(target, '{')
  linkSync(target, join(dir, 'other'))
  symlinkSync('target', file)
  writeJson(`${file}.backup`, [1])
  const { setAside } = await recoverIndex(file)
  expect(setAside).toMatch(/target\.corrupt-/)
  expect((await readIndex(file)).value).toEqual([1])
  expect(read(join(dir, 'other'))).toBe('{')
})
