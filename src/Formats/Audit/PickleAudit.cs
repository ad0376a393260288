using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>What one pickle would do. Of one that is broken it has what comes before the break. Immutable.</summary>
/// <param name="Name">The record of an archive, or which of a stream's pickles it is.</param>
/// <param name="Offset">Where it begins, in bytes from the start of the file; null where it is compressed.</param>
/// <param name="Length">Its size in bytes, as far as it was read.</param>
public sealed record PickleAudit(string Name, long? Offset, long Length)
{
    /// <summary>The protocol that it names; 0 where it names none, as protocols 0 and 1.</summary>
    public int Protocol { get; init; }

    /// <summary>What it would import, in the order of the file, each once.</summary>
    public ImmutableArray<AuditedGlobal> Globals { get; init; } = [];

    /// <summary>The opcodes that no checkpoint needs, in the order of the file.</summary>
    public ImmutableArray<AuditedOpcode> RefusedOpcodes { get; init; } = [];

    /// <summary>How often it has each opcode, the most frequent first.</summary>
    public ImmutableArray<OpcodeCount> Opcodes { get; init; } = [];

    /// <summary>The storages that it names, in the order of the file, each once.</summary>
    public ImmutableArray<AuditedStorage> Storages { get; init; } = [];

    /// <summary>Why it could not be read to its end; null where it was.</summary>
    public CheckpointException? Failure { get; init; }

    /// <summary>The number of all opcodes.</summary>
    public long OpcodeTotal => Opcodes.Sum(opcode => opcode.Count);

    /// <summary>The size of all its storages in bytes; the largest long where they are more.</summary>
    public long StorageBytes => Storages.Aggregate(0L, (sum, storage) => storage.Bytes > long.MaxValue - sum ? long.MaxValue : sum + storage.Bytes);

    /// <summary>What is to be thought of it.</summary>
    public AuditVerdict Verdict =>
        !RefusedOpcodes.IsEmpty || Globals.Any(global => global.Verdict == AuditedGlobalVerdict.Refused) ? AuditVerdict.Unsafe
        : Failure is not null ? AuditVerdict.Broken
        : Globals.Any(global => global.Verdict == AuditedGlobalVerdict.Unknown) ? AuditVerdict.UnknownGlobals
        : AuditVerdict.Safe;
}
