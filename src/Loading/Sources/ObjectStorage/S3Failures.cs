using System.Globalization;
using System.Net;
using Amazon.Runtime;
using Amazon.S3;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>Says what a storage's answers mean. Of what a server writes, only its code gets into a message.</summary>
internal static class S3Failures
{
    /// <summary>Whether the SDK throws it, or what is below it, for an answer or for none.</summary>
    public static bool IsFailure(Exception exception) => exception is AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException or OperationCanceledException;

    /// <summary>Whether the answer is that there is no such thing.</summary>
    public static bool IsMissing(Exception exception) => exception is AmazonS3Exception { StatusCode: HttpStatusCode.NotFound };

    /// <summary>Whether the answer is that this may not be read.</summary>
    public static bool IsForbidden(Exception exception) => exception is AmazonS3Exception { StatusCode: HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized };

    /// <summary>Makes the exception of a failure that is no cancellation of the caller's.</summary>
    /// <param name="failure">What the SDK has thrown.</param>
    /// <param name="address">What was asked for.</param>
    /// <param name="server">The server, for messages.</param>
    /// <param name="options">How often it was asked.</param>
    public static RemoteException Of(Exception failure, S3Address address, string server, RemoteOptions options)
    {
        var (kind, problem) = Describe(failure, address, server, options);
        return new RemoteException(kind, address.ToString(), problem, failure);
    }

    /// <summary>What is said where there are no credentials.</summary>
    public static RemoteException WithoutCredentials(S3Address address, Exception failure) => new(
        RemoteFailure.Unauthorized,
        address.ToString(),
        $"no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; a public bucket is read with --anonymous ({nameof(S3Settings)}.{nameof(S3Settings.IsAnonymous)}).",
        failure);

    private static (RemoteFailure Kind, string Problem) Describe(Exception failure, S3Address address, string server, RemoteOptions options) => failure switch
    {
        AmazonS3Exception { ErrorCode: "NoSuchBucket" } => (
            RemoteFailure.RepositoryMissing,
            $"there is no bucket {Quoted.Name(address.Bucket)} at {server}: are its name and the endpoint (AWS_ENDPOINT_URL_S3) right?"),
        AmazonS3Exception { ErrorCode: "InvalidObjectState" } => (
            RemoteFailure.EntryMissing,
            $"the object is archived, and {server} does not give its bytes; restore it first."),
        AmazonS3Exception { StatusCode: HttpStatusCode.NotFound } => (
            RemoteFailure.EntryMissing,
            $"there is no such object at {server}: is the key right? Capitals count."),
        AmazonS3Exception { ErrorCode: "AuthorizationHeaderMalformed" or "PermanentRedirect" or "TemporaryRedirect" } or AmazonS3Exception { StatusCode: HttpStatusCode.MovedPermanently or HttpStatusCode.TemporaryRedirect } => (
            RemoteFailure.Network,
            $"{server} answers {Code(failure)}: the bucket is in another region; set AWS_REGION to its own."),
        AmazonS3Exception { ErrorCode: "ExpiredToken" or "InvalidToken" or "RequestTimeTooSkewed" or "InvalidAccessKeyId" or "SignatureDoesNotMatch" } => (
            RemoteFailure.Unauthorized,
            $"{server} refuses the credentials ({Code(failure)}): renew them, or give others (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)."),
        _ when IsForbidden(failure) => (
            RemoteFailure.Unauthorized,
            $"{server} refuses it ({Code(failure)}): these credentials may not read it, or there is no such key and they may not list the bucket. Give others (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE), or have s3:GetObject and s3:ListBucket granted."),
        AmazonS3Exception { ErrorCode: "SlowDown" or "RequestLimitExceeded" or "TooManyRequests" } or AmazonS3Exception { StatusCode: HttpStatusCode.TooManyRequests } => (
            RemoteFailure.Network,
            $"{server} wants fewer requests ({Code(failure)}), also after {Retries(options)}: use fewer connections, or try again later."),
        AmazonS3Exception { StatusCode: >= HttpStatusCode.InternalServerError } => (
            RemoteFailure.Network,
            $"{server} answers {Code(failure)}, also after {Retries(options)}; try again later."),
        AmazonS3Exception => (RemoteFailure.Network, $"{server} answers {Code(failure)}, which is not expected: is it an object storage?"),
        AmazonUnmarshallingException => (RemoteFailure.Network, $"{server} answers what cannot be read as an answer of an object storage: is it one, and has no proxy answered in its place?"),
        OperationCanceledException or TimeoutException => (
            RemoteFailure.Network,
            string.Create(CultureInfo.InvariantCulture, $"{server} has not answered within {options.Timeout.TotalSeconds:0.###} s, also after {Retries(options)}: is the endpoint right, and the network there?")),
        // The innermost says why no connection was made.
        _ => (RemoteFailure.Network, $"{server} cannot be reached: {Quoted.Plain(failure.GetBaseException().Message)} Is the endpoint right, and the network there?"),
    };

    private static string Code(Exception failure)
    {
        var answer = (AmazonServiceException)failure;
        var status = ((int)answer.StatusCode).ToString(CultureInfo.InvariantCulture);
        return string.IsNullOrEmpty(answer.ErrorCode) || answer.ErrorCode == status ? status : $"{status}, {Quoted.Name(answer.ErrorCode)}";
    }

    private static string Retries(RemoteOptions options) => options.MaximumRetries == 1 ? "1 retry" : string.Create(CultureInfo.InvariantCulture, $"{options.MaximumRetries} retries");
}
