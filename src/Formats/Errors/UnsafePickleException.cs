namespace IlgpuLoader.Formats;

/// <summary>
/// A pickle asks for something that would run code if Python read it: a global that is not on the list, or an opcode that
/// no checkpoint needs. Nothing of it was executed, looked up or constructed.
/// </summary>
public sealed class UnsafePickleException : CheckpointException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="module">The module of the global, such as <c>posix</c>; null where an opcode is refused.</param>
    /// <param name="name">The name of the global, such as <c>system</c>, or of the opcode, such as <c>INST</c>.</param>
    /// <param name="opcodeOffset">Where the opcode stands, in bytes from the start of the pickle.</param>
    /// <param name="file">The file.</param>
    /// <param name="problem">The whole sentence: what, where, and what to do.</param>
    /// <param name="format">The container format.</param>
    public UnsafePickleException(
        string? module, string name, long opcodeOffset, string? file, string problem, string? format = null)
        : base(CheckpointErrorCode.UnsafePickle, file, $"{problem} (at byte {opcodeOffset} of the pickle)", format)
    {
        Module = module;
        Name = name;
        OpcodeOffset = opcodeOffset;
    }

    /// <summary>The module of the global; null where an opcode is refused.</summary>
    public string? Module { get; }

    /// <summary>The name of the global or of the opcode.</summary>
    public string Name { get; }

    /// <summary>Where the opcode stands, in bytes from the start of the pickle.</summary>
    public long OpcodeOffset { get; }
}
