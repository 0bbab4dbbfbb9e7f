/* An NVMe disk that says it is failing, for programs that ask the kernel about one: LD_PRELOAD it, and give them any file as the disk.
 *
 *   gcc -shared -fPIC -o disk.so disk.c
 */
#include <linux/nvme_ioctl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GET_LOG_PAGE = 0x02, IDENTIFY = 0x06 };

/* NVM Express Base Specification, 5.14.1.2 (SMART / Health) and 5.15.2.1 (Identify Controller). */
static int admin(const struct nvme_passthru_cmd *command)
{
	unsigned char *page = (unsigned char *)command->addr;
	memset(page, 0, command->data_len);
	if (command->opcode == IDENTIFY && (command->cdw10 & 0xff) == 1) {
		memcpy(page + 4, "MADE-OF-NOTHING     ", 20);
		memcpy(page + 24, "Failing Disk                            ", 40);
		memcpy(page + 64, "1.0     ", 8);
	} else if (command->opcode == GET_LOG_PAGE && (command->cdw10 & 0xff) == 2) {
		page[0] = 0x04; /* the reliability is degraded */
		page[1] = 0x2c, page[2] = 0x01; /* 300 K */
		page[3] = 100, page[4] = 10;
	}
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == NVME_IOCTL_ID)
		return 1;
	if (request == NVME_IOCTL_ADMIN_CMD)
		return admin(argument);
	return syscall(SYS_ioctl, fd, request, argument);
}
