const { tracingChannel } = require('node:diagnostics_channel')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { atomicIndexUpdate, atomicWrite, atomicWriteSync, readIndexSync } = require('@pipeline/atomic')

// jest runs a spec in a realm of its own: its Uint8Array and its Error are not the addon's.
describe('inside jest', () => {
  test("a typed array of jest's realm is written", async () => {
    const path = join(__dirname, 'jest.bin')
    await atomicWrite(path, new Uint8Array([1, 2, 3]))
    expect([...readFileSync(path)]).toEqual([1, 2, 3])
  })

  test('an index is updated', async () => {
    const path = join(__dirname, 'jest.json')
    await Promise.all(
      [1, 2, 3].map(() => atomicIndexUpdate(path, (index) => ({ n: index.n + 1 }), { initial: { n: 0 } })),
    )
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ n: 3 })
  })

  test('what fn throws is what the caller catches', async () => {
    const thrown = new RangeError('mine')
    const update = atomicIndexUpdate(join(__dirname, 'never.json'), () => {
      throw thrown
    })
    await expect(update).rejects.toBe(thrown)
  })

  test('calls that block return, and throw', () => {
    const path = join(__dirname, 'sync.json')
    expect(atomicWriteSync(path, new Uint8Array([0x5b, 0x5d]))).toMatchObject({ written: true, bytes: 2 })
    expect(readIndexSync(path)).toEqual({ value: [], source: 'file' })
    expect(() => atomicWriteSync(path, 1)).toThrow('argument')
    expect(() => atomicWriteSync(path, '', { flag: 'wx' })).toThrow('EEXIST')
  })

  test('a channel publishes calls', async () => {
    const { asyncEnd } = tracingChannel('@pipeline/atomic:write')
    const heard = []
    const hear = (message) => heard.push(message)
    asyncEnd.subscribe(hear)
    const path = join(__dirname, 'heard.txt')
    await atomicWrite(path, 'heard')
    asyncEnd.unsubscribe(hear)
    expect(heard).toMatchObject([{ path, steps: { fsync: expect.any(Number) }, result: { written: true } }])
  })

  test('a bad argument rejects', async () => {
    await expect(atomicWrite(1, 'a')).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
    })
  })
})
