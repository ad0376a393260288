using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>What the pickles of one file would do. Immutable.</summary>
/// <param name="Path">The file.</param>
/// <param name="Container">What it is.</param>
/// <param name="Pickles">The pickles in it, in the order of the file.</param>
/// <param name="Notes">What else is to be known, in sentences.</param>
/// <param name="Failure">Why the file could not be gone through to its end; null where it was.</param>
public sealed record FileAudit(
    string Path, AuditedContainer Container, ImmutableArray<PickleAudit> Pickles, ImmutableArray<string> Notes, Exception? Failure)
{
    /// <summary>What is to be thought of it: the worst of its pickles, or that it is broken or cannot be read.</summary>
    public AuditVerdict Verdict => Pickles.Select(pickle => pickle.Verdict).Append(Failure switch
    {
        null => AuditVerdict.Safe,
        CheckpointException => AuditVerdict.Broken,
        _ => AuditVerdict.Unreadable,
    }).Max();
}
