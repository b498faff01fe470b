// Taking a table along: as a file of comma-separated values, or as Markdown in the clipboard.
import { Icon } from './icon';
import { Menu } from './menu';
import { copyText } from './copy';
import { toast } from './toast';
import { csvText, markdownText, type Cell } from '../data/tables';

export interface TakeProps {
  name: string; // of the file and for screen readers
  rows: () => readonly (readonly Cell[])[]; // the headings first; made when wanted
}

export function TakeTable({ name, rows }: TakeProps) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([csvText(rows())], { type: 'text/csv;charset=utf-8' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `traceo-${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10e3);
  };
  const copy = async () => ((await copyText(markdownText(rows()))) ? toast('Copied.') : toast('The browser does not allow copying.', 'bad'));
  return (
    <Menu
      label={'Save or copy the table ' + name}
      class="quiet icon"
      items={[
        { title: 'Save as CSV', run: save },
        { title: 'Copy as Markdown', run: () => void copy() },
      ]}
      button={<Icon name="download" />}
    />
  );
}
