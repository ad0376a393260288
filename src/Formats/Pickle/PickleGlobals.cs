using System.Runtime.InteropServices;

namespace IlgpuLoader.Formats.Pickle;

/// <summary>The globals that one pickle names, each one instance however often it is named.</summary>
/// <param name="settings">Says which are admitted, and notes them.</param>
/// <param name="budget">Counts what is made.</param>
/// <param name="errors">Refuses.</param>
internal sealed class PickleGlobals(PickleSettings settings, PickleBudget budget, PickleErrors errors)
{
    // The record and its entry in the dictionary, with a share of what that doubles.
    private const int GlobalBytes = 160;

    // An element of the recorder's list, with its share of the doubling.
    private const int RecordBytes = 96;

    // What is kept of each name for a report: its record, its entry in what keeps them apart, and the header of the refusal's text.
    private const int ReportBytes = 200;

    private readonly Dictionary<(string Module, string Name), (PickleGlobal Global, PickleGlobalVerdict Verdict)> _known = [];

    /// <summary>The global of that name.</summary>
    /// <exception cref="UnsafePickleException">It is refused, and nobody asked for a record instead.</exception>
    public PickleGlobal Get(string module, string name)
    {
        ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_known, (module, name), out var exists);
        if (!exists)
        {
            budget.AddValue(GlobalBytes);
            var verdict = settings.Globals(module, name);
            if (settings.Recorder is not null)
            {
                budget.Add(ReportBytes + ((verdict.Refusal?.Length ?? 0) * sizeof(char)));
            }

            known = (new PickleGlobal(module, name, verdict.IsAllowed ? verdict.Kind : PickleGlobalKind.Unknown), verdict);
        }

        if (settings.Recorder is { } recorder)
        {
            budget.Add(RecordBytes);
            recorder.Add(new PickleRecordedGlobal(module, name, errors.OffsetInPickle, known.Verdict));
        }
        else if (known.Verdict.Refusal is { } refusal)
        {
            throw errors.Refused(module, name, refusal);
        }

        return known.Global;
    }

    /// <summary>Refuses the opcode that is being read, or notes it where somebody asked for a record.</summary>
    public void RefuseOpcode()
    {
        if (settings.Recorder is not { } recorder)
        {
            throw errors.Refused();
        }

        budget.Add(RecordBytes);
        recorder.Refuse(new PickleRecordedOpcode(errors.Opcode, errors.OffsetInPickle));
    }
}
