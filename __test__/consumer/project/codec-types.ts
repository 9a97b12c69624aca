// Compiled, never run: codecs, ready ones and one of a program's own.
import {
  atomicIndexUpdate,
  atomicTransaction,
  type IndexCodec,
  readIndex,
  recoverIndex,
  restoreIndex,
  snapshotReadIndex,
  watchIndex,
  withIndexLock,
} from '@pipeline/atomic'
import { devalue } from '@pipeline/atomic/devalue'
import { jsonc } from '@pipeline/atomic/jsonc'
import { toml } from '@pipeline/atomic/toml'
import { yaml } from '@pipeline/atomic/yaml'

const words: IndexCodec = {
  parse: (text) => text.split(' '),
  stringify: (list: string[], previous) => (previous === undefined ? list : [...list, '']).join(' '),
  extension: '.txt',
  isPlain: true,
}

interface Config {
  name: string
}

export async function codecs() {
  await atomicIndexUpdate<Config>('c.jsonc', (config) => ({ ...config, name: 'x' }), { codec: jsonc })
  await atomicIndexUpdate('i', (index: Map<string, bigint>) => index.set('n', 1n), {
    codec: devalue,
    initial: new Map(),
  })
  const { value } = await readIndex<Config>('c.yaml', { codec: yaml, fallback: 'backup' })
  await recoverIndex('c.toml', { codec: toml, initial: {} })
  await restoreIndex('c.yaml', 0, { codec: yaml })
  await withIndexLock('c', (lock) => lock.write(['a'], { codec: words }))
  await atomicTransaction('r', (tx) => void tx.update<Config>('c', () => ({ name: '' }), { codec: yaml }))
  await snapshotReadIndex('r', ['c'], { codec: yaml })
  for await (const { value } of watchIndex<Config>('c', { codec: jsonc })) console.log(value.name)
  console.log(
    value?.name,
    [jsonc, yaml, toml, devalue].map(({ extension }) => extension),
  )
  // @ts-expect-error: it cannot print
  void readIndex('i', { codec: { parse: JSON.parse } })
  // @ts-expect-error: there is no codec of that name
  void readIndex('i', { codec: 'yaml' })
}
