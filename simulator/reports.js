// A stand-in for the script of Learnosity's Reports API: same initialisation, callbacks, methods and events for the two
// group reports (docs/learnosity-api.md, "Reports"). It draws a plain table with box plots.
"use strict";
window.LearnosityReports = (() => {
  const here = new URL("data", document.currentScript.src.split("?")[0]);

  class Report {
    constructor(definition, signed, callbacks) {
      this.definition = definition;
      this.signed = signed;
      this.callbacks = callbacks;
      this.listeners = {};
      this.path = definition.group_path || [];
      this.element = document.getElementById(definition.id);
    }

    on(event, listener) {
      (this.listeners[event] ||= []).push(listener);
    }

    getCurrentGroupPath() {
      return [...this.path];
    }

    getGroup({ path }, callback) {
      this.fetch(path).then(callback, (error) => this.failed(error));
    }

    viewGroup({ path }) {
      return this.show(path, "change:data");
    }

    setOptions(options) {
      Object.assign(this.definition, options);
      this.render();
    }

    async fetch(path) {
      // The body is plain text, so the browser does not ask the server for permission first (a preflight request). The
      // request in the body has to be the text that was signed.
      const reply = await fetch(here, {
        method: "POST",
        credentials: "omit",
        body: JSON.stringify({
          security: JSON.stringify(this.signed.security),
          request: JSON.stringify(this.signed.request),
          report: this.definition.id,
          path,
        }),
      });
      const body = await reply.json();
      if (!reply.ok) throw body;
      return body;
    }

    async show(path, event) {
      try {
        this.data = await this.fetch(path);
      } catch (error) {
        this.failed(error);
        return false;
      }
      this.path = [...path];
      this.render();
      for (const listener of this.listeners[event] || []) listener(this.data);
      return true;
    }

    failed(error) {
      const known = error.code ? error : { code: 50000, msg: String(error.message || error), detail: "" };
      if (this.callbacks.errorListener) this.callbacks.errorListener(known);
    }

    render() {
      const users = this.data.groups.length === 0;
      const rows = users ? this.data.users : this.data.groups;
      const key = users ? "user_id" : "group_name";
      const names = rows.map((row) => String(row[key]));
      const shown = this.callbacks.displayNameListener ? this.callbacks.displayNameListener(names) : names;
      const fallback = Object.keys(rows[0] || {}).map((field) => ({ type: field === key ? key : "numeric", field, label: field }));
      const columns = (users ? this.definition.user_columns : this.definition.columns) || fallback;
      const table = make("table", { class: "lrn-report" });
      const head = table.appendChild(make("thead")).appendChild(make("tr"));
      for (const column of columns) head.append(make("th", { scope: "col" }, column.label || column.field || column.type));
      const body = table.appendChild(make("tbody"));
      rows.forEach((row, index) => {
        const line = body.appendChild(make("tr"));
        for (const column of columns) line.append(this.cell(column, row, shown[index], users));
      });
      const told = make("p", {}, "Drawn by the simulator's stand-in for the Reports API: this is not Learnosity's report.");
      this.element.replaceChildren(told, this.crumbs(), table);
      this.element.removeAttribute("aria-busy");
    }

    cell(column, row, name, users) {
      if (column.type === "group_name" || column.type === "user_id") {
        const cell = make("th", { scope: "row" });
        if (users) {
          cell.textContent = name;
        } else {
          const button = make("button", { type: "button" }, name);
          button.addEventListener("click", () => this.viewGroup({ path: [...this.path, row.group_name] }));
          cell.append(button);
        }
        return cell;
      }
      if (column.type === "1d_plot") {
        const cell = make("td");
        for (const element of column.elements) if (element.type === "box_plot") cell.append(plot(row, element));
        return cell;
      }
      const value = row[column.field];
      return make("td", { class: "number" }, value === null || value === undefined ? "" : value.toLocaleString("en"));
    }

    crumbs() {
      const list = make("p", { class: "lrn-crumbs" });
      ["All", ...this.path].forEach((name, depth) => {
        if (depth) list.append(" / ");
        if (depth === this.path.length) {
          list.append(make("strong", {}, name));
          return;
        }
        const button = make("button", { type: "button" }, name);
        button.addEventListener("click", () => this.viewGroup({ path: this.path.slice(0, depth) }));
        list.append(button);
      });
      return list;
    }
  }

  function make(name, attributes = {}, text = "") {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  }

  function plot(row, { min, middle, max }) {
    const svg = (name, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return element;
    };
    const [low, mid, high] = [row[min], row[middle], row[max]].map((value) => (value || 0) * 1.5);
    const drawing = svg("svg", { width: 150, height: 18, role: "img", "aria-label": `${row[min]} to ${row[max]}, middle ${row[middle]}` });
    drawing.append(svg("line", { x1: 0, x2: 150, y1: 9, y2: 9, stroke: "currentColor", "stroke-opacity": 0.25 }));
    drawing.append(svg("rect", { x: low, y: 3, width: Math.max(high - low, 1), height: 12, fill: "currentColor", "fill-opacity": 0.25 }));
    drawing.append(svg("line", { x1: mid, x2: mid, y1: 1, y2: 17, stroke: "currentColor", "stroke-width": 2 }));
    return drawing;
  }

  function style() {
    const sheet = make("style", {}, `
      .lrn-report { width: 100%; border-collapse: collapse; }
      .lrn-report button, .lrn-crumbs button { background: none; border: 0; padding: 0; color: inherit; font: inherit; text-decoration: underline; cursor: pointer; }
    `);
    document.head.append(sheet);
  }

  return {
    init(signed, callbacks = {}) {
      style();
      const reports = Object.fromEntries(
        signed.request.reports.map((definition) => [definition.id, new Report(definition, signed, callbacks)]));
      const app = { getReport: (id) => reports[id] };
      Promise.all(Object.values(reports).map((report) => report.show(report.path, "load:data"))).then((all) => {
        if (all.every(Boolean) && callbacks.readyListener) callbacks.readyListener();
      });
      return app;
    },
  };
})();
