namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// What a pickle would do, for those who ask before they trust it: opcodes and globals. Of a pickle that is broken it has
/// what came before the break. Not safe for several threads.
/// </summary>
internal sealed class PickleRecorder
{
    private readonly long[] _counts = new long[256];
    private readonly List<PickleRecordedGlobal> _globals = [];
    private readonly List<PickleRecordedOpcode> _refusedOpcodes = [];

    /// <summary>The globals in the order of the file; one that is named often is there often.</summary>
    public IReadOnlyList<PickleRecordedGlobal> Globals => _globals;

    /// <summary>The opcodes that are refused, in the order of the file.</summary>
    public IReadOnlyList<PickleRecordedOpcode> RefusedOpcodes => _refusedOpcodes;

    /// <summary>How often an opcode occurs.</summary>
    public long Count(PickleOpcode opcode) => _counts[(byte)opcode];

    internal void Add(PickleOpcode opcode) => _counts[(byte)opcode]++;

    internal void Add(PickleRecordedGlobal global) => _globals.Add(global);

    internal void Refuse(PickleRecordedOpcode opcode) => _refusedOpcodes.Add(opcode);
}
