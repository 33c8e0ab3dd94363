// SPDX-License-Identifier: GPL-2.0-or-later
"use strict";

// Adds to pages that are complete without it: a filter of the table, and the age of dates.

(function () {
  const units = [["year", 365], ["month", 30], ["day", 1]];

  function age(days) {
    const [name, length] = units.find((unit) => Math.abs(days) >= unit[1]) || units[2];
    return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(-Math.trunc(days / length), name);
  }

  for (const element of document.querySelectorAll("time[datetime]")) {
    const time = Date.parse(element.dateTime);
    if (!Number.isNaN(time)) {
      const text = document.createElement("span");
      text.className = "age";
      text.textContent = " " + age((Date.now() - time) / 86400000);
      element.append(text);
    }
  }

  const filter = document.querySelector("[data-filter]");
  const table = document.querySelector("table[data-filtered]");
  if (!filter || !table) {
    return;
  }
  const input = filter.querySelector("input");
  const status = filter.querySelector("[role=status]");
  const rows = Array.from(table.tBodies[0].rows, (row) => ({
    row, name: row.dataset.name, text: row.cells[0].textContent.toLowerCase(),
  }));
  let packages = null;  // package name → repository names, of the first page only

  function matching(query) {
    const found = new Map();
    for (const [name, repositories] of packages || []) {
      if (name.toLowerCase().includes(query)) {
        for (const repository of repositories) {
          found.set(repository, (found.get(repository) || 0) + 1);
        }
      }
    }
    return found;
  }

  function update() {
    const query = input.value.trim().toLowerCase();
    const byPackage = query ? matching(query) : new Map();
    let shown = 0;
    for (const { row, name, text } of rows) {
      row.hidden = !(text.includes(query) || byPackage.has(name));
      shown += row.hidden ? 0 : 1;
    }
    status.textContent = query ? `${shown} of ${rows.length} shown` : "";
  }

  let requested = !table.dataset.search;

  async function load() {
    if (requested) {
      return;
    }
    requested = true;
    const response = await fetch(table.dataset.search);
    if (!response.ok) {
      throw new Error(response.status);
    }
    const content = await response.json();
    packages = Object.entries(content.packages).map(
      ([name, positions]) => [name, positions.map((position) => content.repositories[position])]);
    update();
  }

  // Not possible for files that are opened without a server: then only names and descriptions are searched.
  for (const event of ["focus", "input"]) {
    input.addEventListener(event, () => load().catch(() => {}));
  }
  input.addEventListener("input", update);
  filter.hidden = false;
  update();
})();
