// Writes what is generated and committed: index.js (the loader), index.d.ts (from the Rust doc comments)
// and the folders of the platform packages in npm/. `npm run check` does the same into a temporary folder
// and compares.

import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Complaint, findCargo, root, runAsScript, runNode, withTemporaryFolder } from './tools.mjs'

/** The oldest Node that the napi command line runs on; the package itself asks for less. */
export const nodeOfNapiCli = 'Node 20.17'

/** Whether the napi command line runs on this Node. */
export async function canGenerate() {
  return (await napi(['--version'])).code === 0
}

/** Generates all of it into `folder`, and returns the names of what is there. */
export async function generate(/** @type {string} */ folder) {
  // Unoptimised, as only the types are wanted. Twice (the second time without compiling): the types of a
  // build without a loader are those of the API alone, without the loader's own `__napiBindingTarget`.
  const build = ['build', '--platform', '--output-dir', folder]
  await generateWith([...build, '--js', 'index.js', '--dts', 'with-loader.d.ts'])
  await generateWith([...build, '--no-js', '--dts', 'index.d.ts'])
  const loader = join(folder, 'index.js')
  writeFileSync(loader, withoutMarker(readFileSync(loader, 'utf8')))

  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  await generateWith(['create-npm-dirs', '--cwd', folder])
  return ['index.js', 'index.d.ts', 'npm']
}

/**
 * Takes out the one export that is not the API's: the loader's note of whether it loaded a native addon or
 * a WebAssembly build. There is none of the latter, and the command line has no option for it.
 */
function withoutMarker(/** @type {string} */ loader) {
  const marker = /^function __napiStampBindingTarget\([\s\S]*^module\.exports\.__napiBindingTarget = .*\n/m
  const rest = loader.replace(marker, '')
  if (rest === loader || /StampBindingTarget|exports\.__napi/.test(rest)) {
    throw new Complaint(
      'The generated loader exports its marker in another way now: see scripts/generate.mjs.',
    )
  }
  return rest
}

async function generateWith(/** @type {string[]} */ args) {
  const { code, output } = await napi(args)
  if (code !== 0) throw new Complaint(`napi ${args.join(' ')} failed:\n${output}`)
}

function napi(/** @type {string[]} */ args) {
  return runNode([join(root, 'node_modules/@napi-rs/cli/dist/cli.js'), ...args], {
    quiet: true,
    env: { CARGO: findCargo(), NO_COLOR: '1', FORCE_COLOR: undefined },
  })
}

runAsScript(import.meta.url, () =>
  withTemporaryFolder(async (folder) => {
    if (!(await canGenerate())) throw new Complaint(`The napi command line needs ${nodeOfNapiCli}.`)
    for (const name of await generate(folder)) {
      rmSync(join(root, name), { recursive: true, force: true })
      cpSync(join(folder, name), join(root, name), { recursive: true })
    }
  }),
)
