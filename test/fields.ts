import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { actionList } from '../lib/ovs/action.js'
import { flowKey } from '../lib/ovs/key.js'
import { reasons } from '../lib/tc/reasons.js'
import { actionLines } from './fields/actions.js'
import { keyLines } from './fields/keys.js'

/** FIELDS.md, from the rows. */
export const fieldsFile = fileURLToPath(new URL('../../FIELDS.md', import.meta.url))

/** What the file has to say. */
export function fieldsReference(): string {
  return `# Fields and actions

<!-- Made by \`npm run fields\` from lib/ovs and lib/tc; test/fields.test.ts fails when the two differ. -->

This is everything a flow of this library can match and do: one line for each attribute of the openvswitch kernel module, with its
number in the kernel, the property that stands for it in JavaScript, how \`ovs-dpctl\` text spells it, and the kernel that brought it
where old ones are about. The TC columns say whether a filter of TC flower can carry the same, which a NIC may then take into hardware;
*some* means for the values and masks that no sentence beside it excludes, *whole* for all bits of the field or none. A code like
\`NO_FLOWER_KEY\` is the \`reason\` of a refusal, and what each of them means is told at the end.

## Keys

A flow is \`{ key, mask, actions }\`. A property with a dot is a part of the attribute above it. The mask column is what the kernel
module compares: any *bits* of the field, always the *whole* field, or just that it is *there*. *Set* tells what the actions \`set\` and
\`setMasked\` can write.

${table(['Property', 'What', 'Kernel', 'Type', 'In text', 'Mask', 'Since', 'TC matches', 'Set', 'TC sets'], flowKey.rows.flatMap(keyLines))}

## Actions

${table(['Property', 'What', 'Kernel', 'Type', 'In text', 'Since', 'TC'], actionList.set.rows.flatMap(actionLines))}

## Why TC does not carry a flow

${table(
  ['Reason', 'What it means', 'What helps'],
  Object.entries(reasons).map(([code, { meaning, advice }]) => [`\`${code}\``, meaning, advice]),
)}
`
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...lines.map(line)].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(fieldsFile, fieldsReference())
