namespace IlgpuLoader.Loading;

/// <summary>Something remote is not to be had. The message says what was asked for, where, what came, and what to do; never a token.</summary>
/// <param name="failure">Why.</param>
/// <param name="address">What was asked for, without what is secret in it.</param>
/// <param name="problem">What is wrong, as a sentence.</param>
/// <param name="innerException">The cause.</param>
public sealed class RemoteException(RemoteFailure failure, string address, string problem, Exception? innerException = null)
    : IOException($"{address}: {problem}", innerException)
{
    /// <summary>Why.</summary>
    public RemoteFailure Failure { get; } = failure;

    /// <summary>What was asked for.</summary>
    public string Address { get; } = address;

    /// <summary>What is wrong, as a sentence without the address.</summary>
    public string Problem { get; } = problem;
}
