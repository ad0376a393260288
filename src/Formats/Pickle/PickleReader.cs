namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// Python's stack machine of pickle protocols 0 to 5, which makes inert values and never looks up, calls or constructs
/// anything that a pickle names. Not safe for several threads.
/// </summary>
/// <param name="pickle">The bytes; several pickles may follow one another, and anything else behind them.</param>
/// <param name="settings">What is accepted.</param>
internal sealed class PickleReader(ReadOnlyMemory<byte> pickle, PickleSettings settings)
{
    /// <summary>How many bytes have been consumed: where the next pickle would begin.</summary>
    public int Position { get; private set; }

    /// <summary>
    /// Whether a reading failed because the bytes ended. Of a window into a longer file that says that a longer one might do.
    /// </summary>
    public bool RanOut { get; private set; }

    /// <summary>
    /// Reads one pickle, from <see cref="Position"/> to its STOP: <see cref="PickleNone"/>, <see cref="bool"/>, <see cref="long"/>,
    /// <see cref="System.Numerics.BigInteger"/> (what does not fit a long), <see cref="double"/>, <see cref="string"/>, an array of
    /// bytes, <see cref="PickleList"/>, <see cref="PickleTuple"/>, <see cref="PickleDictionary"/>, <see cref="PickleSet"/>,
    /// <see cref="PickleGlobal"/>, <see cref="PickleObject"/> or <see cref="PickleStorageReference"/>. The same value of the pickle
    /// is the same instance, and containers may hold themselves.
    /// </summary>
    /// <exception cref="UnsafePickleException">A global or an opcode is refused.</exception>
    /// <exception cref="InvalidCheckpointException">The pickle breaks a rule, or ends early.</exception>
    /// <exception cref="CheckpointLimitException">A limit is exceeded.</exception>
    public object Read()
    {
        if (Position == pickle.Length)
        {
            RanOut = true;
            throw new InvalidCheckpointException(
                CheckpointErrorCode.PickleInvalid,
                settings.File,
                "the pickle ends before its STOP",
                settings.Format,
                settings.BaseOffset + Position);
        }

        var opcode = (PickleOpcode)pickle.Span[Position];
        throw new UnsafePickleException(
            null, PickleOpcodes.Name(opcode) ?? "?", Position++, settings.File, "this opcode is not read.", settings.Format);
    }
}
