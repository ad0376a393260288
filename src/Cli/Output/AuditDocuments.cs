namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>audit</c> finds: the highest exit code is that of the run.</summary>
internal sealed record AuditDocument(IReadOnlyList<AuditedFile> Files, FetchedTotals? Fetched = null) : Document("ilgpu-loader/audit/1");

/// <summary>A file; code and message say why it could not be gone through to its end.</summary>
internal sealed record AuditedFile(
    string Path,
    string Verdict,
    string Container,
    int ExitCode,
    string? Code,
    string? Message,
    IReadOnlyList<string> Notes,
    IReadOnlyList<AuditedPickle> Pickles);

/// <summary>A pickle; the offset is in the file, and missing where the pickle is compressed.</summary>
internal sealed record AuditedPickle(
    string Name,
    long? Offset,
    long Length,
    string Verdict,
    int Protocol,
    IReadOnlyList<ListedGlobal> Globals,
    IReadOnlyList<ListedOpcode> RefusedOpcodes,
    ListedOpcodes Opcodes,
    ListedStorages Storages,
    string? Code,
    string? Message);

/// <summary>A global, with offsets from the start of the pickle.</summary>
internal sealed record ListedGlobal(string Module, string Name, long Count, long FirstOffset, string Verdict, string? Reason);

internal sealed record ListedOpcode(string Name, long Offset);

internal sealed record ListedOpcodes(long Total, IReadOnlyDictionary<string, long> Counts);

internal sealed record ListedStorages(int Count, long Bytes, IReadOnlyList<ListedStorage> Entries);

internal sealed record ListedStorage(string Key, string Type, long Elements, long Bytes, string Location);
