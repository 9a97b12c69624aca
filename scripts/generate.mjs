// Writes what is generated and committed: index.d.ts (from the Rust doc comments), index.js (the loader) and the folders
// of the platform packages in npm/. `npm run check` does the same into a temporary folder and compares.

import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loader } from './loader.mjs'
import { Complaint, findCargo, root, runAsScript, runCargo, runNode, withTemporaryFolder } from './tools.mjs'

/** The oldest Node that the napi command line runs on; the package itself asks for less. */
export const nodeOfNapiCli = 'Node 20.17'

/** Whether the napi command line runs on this Node. */
export async function canGenerate() {
  return (await napi(['--version'])).code === 0
}

/**
 * Generates all of it into `folder`, and returns the names of what is there. `packages` is what cargo selects, with the addon's
 * among it: the dependencies are compiled with the features that all of them ask for.
 */
export async function generate(/** @type {string} */ folder, packages = ['-p', 'pipeline-atomic']) {
  const types = await admitUndefined(`${typesOfScripts()}${await typesOfRust(packages)}`)
  writeFileSync(join(folder, 'index.d.ts'), types)
  const values = types.matchAll(/^export declare (?:class|const|enum|function) (\w+)/gm)
  const { napi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  writeFileSync(
    join(folder, 'index.js'),
    loader(
      napi,
      // Overloads repeat a name.
      [...new Set(Array.from(values, ([, name]) => String(name)))].sort(),
      'npm run build',
      '@pipeline/atomic-cloud',
      readFileSync(join(root, 'src/js/observe.js'), 'utf8'),
    ),
  )

  mkdirSync(join(folder, 'packages/cloud'), { recursive: true })
  writeFileSync(join(folder, cloudLoader), loaderOfCloud())

  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
  await generateWith(['create-npm-dirs', '--cwd', folder])
  for (const name of readdirSync(join(folder, 'npm'))) {
    copyFileSync(join(root, 'LICENSE'), join(folder, 'npm', name, 'LICENSE'))
  }
  return ['index.js', 'index.d.ts', 'npm', cloudLoader]
}

/**
 * Types that napi-derive writes while the crate is compiled. Nothing is to be run, so `cargo check` is enough: it takes half the time of
 * `napi build`, which builds all that the crate depends on, and links.
 */
const typesOfRust = (/** @type {string[]} */ packages) =>
  withTemporaryFolder(async (typeDefDir) => {
    const env = {
      NAPI_TYPE_DEF_TMP_FOLDER: typeDefDir,
      // Else nothing is compiled, and nothing written, if nothing has changed.
      NAPI_FORCE_BUILD_PIPELINE_ATOMIC: `${Date.now()}`,
    }
    const { code, output } = await runCargo(['check', '-q', ...packages, '--lib'], { quiet: true, env })
    if (code !== 0) throw new Complaint(`cargo check failed:\n${output}`)
    // A file for each package that is compiled.
    for (const name of readdirSync(typeDefDir)) {
      if (name !== 'pipeline-atomic') rmSync(join(typeDefDir, name))
    }
    // Imported here, because this file is also read by Nodes that the napi command line does not run on.
    const { generateTypeDef } = await import('@napi-rs/cli')
    const { dts } = await generateTypeDef({ typeDefDir, noDtsHeader: true, cwd: root })
    return dts
  })

/** Types that no function in Rust has, for all others to name. */
function typesOfScripts() {
  const folder = join(root, 'src/api/types')
  const parts = [
    'values',
    'errors',
    'stores',
    'index',
    'patch',
    'lines',
    'transaction',
    'observe',
    'sweep',
    'inspection',
    'sync',
  ].map((name) => readFileSync(join(folder, `${name}.d.ts`), 'utf8'))
  return ['/// <reference types="node" />\n', ...parts].join('\n')
}

/** Types of what programs hand in, by their names. */
const isInput = (/** @type {string} */ name) =>
  /(?:Options|Entry|Patch|Operation)$/.test(name) ||
  ['IndexCodec', 'StandardSchema', 'SchemaIssue'].includes(name)

/**
 * Declarations in which each optional property of what programs hand in may be `undefined` as well. In a program with
 * `exactOptionalPropertyTypes` a value that may be `undefined`, such as the version of a result, could not be handed on as an option otherwise.
 * Types of Rust cannot say that. In results it would be untrue, and keep them from types of such a program.
 */
export async function admitUndefined(/** @type {string} */ types) {
  // Imported here, as the napi command line is.
  const { default: ts } = await import('typescript')
  const admitting = new Set([
    ts.SyntaxKind.UndefinedKeyword,
    ts.SyntaxKind.UnknownKeyword,
    ts.SyntaxKind.AnyKeyword,
  ])
  const bare = new Set([
    ts.SyntaxKind.FunctionType,
    ts.SyntaxKind.ConstructorType,
    ts.SyntaxKind.ConditionalType,
  ])
  /** Whether it is in a parameter, or in a type of that name. @returns {boolean} */
  const isHandedIn = (/** @type {import('typescript').Node} */ node) => {
    if (ts.isParameter(node)) return true
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return isInput(node.name.text)
    return !ts.isSourceFile(node) && isHandedIn(node.parent)
  }
  /** What to put in, and where. @type {{ at: number, text: string }[]} */
  const edits = []
  const visit = (/** @type {import('typescript').Node} */ node) => {
    ts.forEachChild(node, visit)
    if (!ts.isPropertySignature(node) || !node.questionToken || !node.type || !isHandedIn(node)) return
    const { type } = node
    const parts = ts.isUnionTypeNode(type) ? type.types : [type]
    if (parts.some(({ kind }) => admitting.has(kind))) return
    edits.push({ at: type.getEnd(), text: bare.has(type.kind) ? ') | undefined' : ' | undefined' })
    if (bare.has(type.kind)) edits.push({ at: type.getStart(), text: '(' })
  }
  visit(ts.createSourceFile('index.d.ts', types, ts.ScriptTarget.Latest, true))
  // From the last to the first, so that positions stay.
  edits.sort((one, other) => other.at - one.at)
  return edits.reduce((all, { at, text }) => all.slice(0, at) + text + all.slice(at), types)
}

const cloudLoader = 'packages/cloud/addon.js'

/** Its classes are not public, so they are read from the source and not from types. */
function loaderOfCloud() {
  const { napi } = JSON.parse(readFileSync(join(root, 'packages/cloud/package.json'), 'utf8'))
  const sources = readdirSync(join(root, 'crates/cloud/src/js')).map((name) =>
    readFileSync(join(root, 'crates/cloud/src/js', name), 'utf8'),
  )
  const classes = sources.flatMap((text) => Array.from(text.matchAll(/^#\[napi\]\npub struct (\w+)/gm)))
  return loader(napi, classes.map(([, name]) => String(name)).sort(), 'npm run build:cloud')
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
