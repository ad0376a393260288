using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Loading;

/// <summary>What downloads write. The highest number is 1111.</summary>
internal static partial class HubLog
{
    [LoggerMessage(EventId = 1100, EventName = nameof(WeightsDownloaded), Level = LogLevel.Information, Message = "Time spent downloading weights for {Model}: {Seconds:0.000000} seconds")]
    public static partial void WeightsDownloaded(ILogger logger, string model, double seconds);

    [LoggerMessage(EventId = 1101, EventName = nameof(ListingFailed), Level = LogLevel.Warning, Message = "{Model}: its files cannot be listed, so that each pattern is tried until weights have come. {Problem}")]
    public static partial void ListingFailed(ILogger logger, string model, string problem);

    [LoggerMessage(EventId = 1102, EventName = nameof(PatternChosen), Level = LogLevel.Debug, Message = "{Model}: the weights are {Patterns}")]
    public static partial void PatternChosen(ILogger logger, string model, string patterns);

    [LoggerMessage(EventId = 1103, EventName = nameof(NoIndexRemote), Level = LogLevel.Information, Message = "{Model} has no {IndexFile}")]
    public static partial void NoIndexRemote(ILogger logger, string model, string indexFile);

    [LoggerMessage(EventId = 1104, EventName = nameof(NoIndexLocal), Level = LogLevel.Information, Message = "{Model}: there is no {IndexFile} in the cache")]
    public static partial void NoIndexLocal(ILogger logger, string model, string indexFile);

    [LoggerMessage(EventId = 1105, EventName = nameof(CacheUsed), Level = LogLevel.Warning, Message = "{Address} cannot be asked, so that what the cache has is used. {Problem}")]
    public static partial void CacheUsed(ILogger logger, string address, string problem);

    [LoggerMessage(EventId = 1106, EventName = nameof(RefNotWritten), Level = LogLevel.Warning, Message = "{Address}: the cache does not take the commit of its revision. {Problem}")]
    public static partial void RefNotWritten(ILogger logger, string address, string problem);

    [LoggerMessage(EventId = 1107, EventName = nameof(FileDownloaded), Level = LogLevel.Debug, Message = "{Path} is there, {Bytes} bytes")]
    public static partial void FileDownloaded(ILogger logger, string path, long bytes);

    [LoggerMessage(EventId = 1108, EventName = nameof(LinkNotMade), Level = LogLevel.Debug, Message = "{Path} could not be made a link. {Problem}")]
    public static partial void LinkNotMade(ILogger logger, string path, string problem);

    [LoggerMessage(EventId = 1109, EventName = nameof(DownloadBegins), Level = LogLevel.Information, Message = "{Repository}: {Files} files of {Bytes} bytes are downloaded into {Folder}")]
    public static partial void DownloadBegins(ILogger logger, string repository, int files, long bytes, string folder);

    [LoggerMessage(EventId = 1110, EventName = nameof(DownloadEnded), Level = LogLevel.Information, Message = "{Repository}: downloaded in {Seconds:0.0} s")]
    public static partial void DownloadEnded(ILogger logger, string repository, double seconds);

    [LoggerMessage(EventId = 1111, EventName = nameof(VerifiedNotKept), Level = LogLevel.Debug, Message = "{Model}: which files were held against their hashes cannot be kept, and they are read again the next time. {Problem}")]
    public static partial void VerifiedNotKept(ILogger logger, string model, string problem);
}
