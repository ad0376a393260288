namespace IlgpuLoader.Formats;

/// <summary>A number from a file exceeds a named limit that the caller may raise.</summary>
public sealed class CheckpointLimitException : CheckpointException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="limit">The limit's name in words, such as "header length".</param>
    /// <param name="actual">What the file asks for.</param>
    /// <param name="maximum">What is allowed.</param>
    /// <param name="option">The option that raises the limit.</param>
    /// <param name="file">The file.</param>
    /// <param name="format">The container format.</param>
    /// <param name="code">What is wrong, for programs.</param>
    public CheckpointLimitException(
        string limit,
        decimal actual,
        long maximum,
        string option,
        string? file,
        string? format = null,
        CheckpointErrorCode code = CheckpointErrorCode.LimitExceeded)
        : base(code, file, $"the {limit} is {actual}, the limit is {maximum}; if the file is trusted, raise {option}.", format)
    {
        Limit = limit;
        Actual = actual;
        Maximum = maximum;
        Option = option;
    }

    /// <summary>The limit's name in words.</summary>
    public string Limit { get; }

    /// <summary>What the file asks for; a decimal, since files may name any unsigned 64-bit number.</summary>
    public decimal Actual { get; }

    /// <summary>What is allowed.</summary>
    public long Maximum { get; }

    /// <summary>The option that raises the limit.</summary>
    public string Option { get; }
}
