using System.Collections.Immutable;

namespace IlgpuLoader.Harness;

/// <summary>What was measured, on what, and how.</summary>
/// <param name="Machine">The machine in a line.</param>
/// <param name="Date">When it began.</param>
/// <param name="Command">The command line.</param>
/// <param name="Data">What was loaded, in a line.</param>
/// <param name="Rows">The rows, scenario by scenario.</param>
internal sealed record HarnessReport(string Machine, DateTimeOffset Date, string Command, string Data, ImmutableArray<HarnessRow> Rows);
