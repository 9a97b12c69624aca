// The peer's own JavaScript over an addon that is a stand-in.

import { createRequire } from 'node:module'
import { dirname, sep } from 'node:path'

const require = createRequire(import.meta.url)

/** Returns what loads a module of its folder `lib`. Each is loaded anew: another spec file may have loaded it over its own stand-in. */
export function peerOver(addon: object): (module: string) => any {
  const path = require.resolve('../../packages/cloud/addon.js')
  for (const loaded of Object.keys(require.cache)) {
    if (loaded.startsWith(dirname(path) + sep)) delete require.cache[loaded]
  }
  require.cache[path] = { id: path, filename: path, loaded: true, exports: addon } as never
  return (module) => require(`../../packages/cloud/lib/${module}.js`)
}
